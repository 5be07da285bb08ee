// What a page does with JsSIP, one function for each command of the tests. A page is one phone; its calls are counted
// from 0 in the order in which they came or went.

const calls = [];
let phone, voice, hidesEvents;

// A microphone that hears one tone.
function tone(frequency) {
  const source = audio.createOscillator();
  const output = audio.createMediaStreamDestination();
  source.frequency.value = frequency;
  source.connect(output);
  source.start();
  return output.stream;
}

// What a phone writes that takes no keys in the sound (RFC 4733).
function withoutEvents(sdp) {
  const numbers = [...sdp.matchAll(/^a=rtpmap:(\d+) telephone-event\/.*$/gm)].map(([, number]) => number);
  return sdp
    .split("\r\n")
    .filter((line) => !numbers.some((number) => new RegExp(`^a=(rtpmap|fmtp|rtcp-fb):${number} `).test(line)))
    .map((line) => (line.startsWith("m=audio ") ? line.split(" ").filter((word, at) => at < 3 || !numbers.includes(word)).join(" ") : line))
    .join("\r\n");
}

function adopt(session) {
  const entry = { session, events: [], digits: [], times: {}, heard: [], stream: null };
  for (const event of ["progress", "accepted", "confirmed", "ended", "failed", "hold", "unhold", "reinvite", "update"]) {
    session.on(event, (detail) => {
      entry.times[event] ??= performance.timeOrigin + performance.now();
      entry.events.push(`${event} ${detail?.originator ?? ""} ${detail?.cause ?? ""}`.trim());
    });
  }
  session.on("newDTMF", ({ originator, dtmf }) => entry.digits.push(`${originator} ${dtmf.tone}`));
  session.on("sdp", (description) => {
    if (hidesEvents && description.originator === "local") description.sdp = withoutEvents(description.sdp);
  });
  const watch = (connection) =>
    connection.addEventListener("track", ({ streams, track }) => {
      entry.stream = streams[0] ?? new MediaStream([track]);
      const player = new Audio(); // Chromium decodes only what some element plays
      player.srcObject = entry.stream;
      player.play();
    });
  if (session.connection) watch(session.connection);
  else session.on("peerconnection", ({ peerconnection }) => watch(peerconnection));
  calls.push(entry);
}

const options = () => ({ mediaStream: voice, pcConfig: { iceServers: [] } });

window.lab = {
  async register({ port, user, domain, password, hz, withoutEvents }) {
    await audio.resume();
    hidesEvents = withoutEvents;
    voice = tone(hz);
    const socket = new JsSIP.WebSocketInterface(`wss://127.0.0.1:${port}`);
    phone = new JsSIP.UA({ sockets: [socket], uri: `sip:${user}@${domain}`, password, register_expires: 40 });
    phone.on("newRTCSession", ({ session }) => adopt(session));
    const registered = new Promise((done, failed) => {
      phone.on("registered", done);
      phone.on("registrationFailed", ({ cause }) => failed(new Error(cause)));
    });
    phone.start();
    await registered;
  },
  call(target) {
    const began = performance.timeOrigin + performance.now();
    phone.call(target, options());
    calls.at(-1).times.began = began;
    return calls.length - 1;
  },
  // Whatever comes is answered at once.
  answerAll() {
    phone.on("newRTCSession", ({ session }) => session.direction === "incoming" && session.answer(options()));
  },
  arrived: (number) => until(() => calls[number], `call ${number}`),
  answer: (number) => calls[number].session.answer(options()),
  async until(number, event) {
    const { events } = calls[number];
    await until(() => events.some((one) => one.startsWith(event)), `${event} after ${events}`);
  },
  facts(number) {
    const { session, events, digits, times } = calls[number];
    const { remote_identity: far, connection } = session;
    const sdp = connection?.localDescription?.sdp ?? "";
    return { events, digits, times, far: far.uri.user, held: session.isOnHold(), state: connection?.connectionState, sdp };
  },
  hold: (number) => calls[number].session.hold(),
  unhold: (number) => calls[number].session.unhold(),
  renegotiate: (number) => new Promise((done) => calls[number].session.renegotiate({}, done)),
  digit: (number, digit, transportType) => calls[number].session.sendDTMF(digit, { transportType }),
  async keys(number, count) {
    const { digits } = calls[number];
    await until(() => digits.length >= count, `${count} keys after ${digits}`);
    return digits;
  },
  hangup: (number) => calls[number].session.terminate(),
  async listen(number) {
    await until(() => calls[number].stream, "remote sound");
    await listen(calls[number].heard, calls[number].stream);
  },
  heard: (number) => calls[number].heard.splice(0),
  async leave() {
    const gone = new Promise((done) => phone.on("unregistered", done));
    phone.unregister();
    await gone;
    phone.stop();
  },
};
