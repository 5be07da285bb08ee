// What a page does with the SDK, one function for each command of the tests. Phones have names; calls are counted from
// 0 in the order in which their phone saw them, whatever the SDK still lists.

const POLL = 20; // milliseconds
const QUIET = -60; // dB: below it, nothing is heard
const phones = new Map();
const audio = new AudioContext();

const call = (name, number) => phones.get(name).calls[number];
const pause = (time) => new Promise((done) => setTimeout(done, time));
const attempt = (read) => {
  try {
    return read() ?? null;
  } catch {
    return null; // 2.1 throws where there is no p-rc-api-ids yet
  }
};

function adopt(known, session) {
  const entry = { session, states: [session.state], heard: [], results: [] };
  for (const state of ["ringing", "answered", "failed", "disposed"]) {
    session.on(state, (detail) => entry.states.push(detail ? `${state}: ${detail}` : state));
  }
  known.calls.push(entry);
}

async function until(condition, what, seconds = 15) {
  for (const end = Date.now() + seconds * 1000; !condition(); await pause(POLL)) {
    if (Date.now() > end) throw new Error(`not within ${seconds} s: ${what}`);
  }
}

// The strongest frequency of what the audio element plays, 50 times a second.
function listen(entry) {
  const analyser = audio.createAnalyser();
  analyser.fftSize = 2048;
  analyser.smoothingTimeConstant = 0;
  audio.createMediaStreamSource(entry.session.audioElement.srcObject).connect(analyser);
  const levels = new Float32Array(analyser.frequencyBinCount);
  const width = audio.sampleRate / analyser.fftSize;
  setInterval(() => {
    analyser.getFloatFrequencyData(levels);
    const peak = levels.reduce((best, level, bin) => (level > levels[best] ? bin : best), 0);
    if (levels[peak] > QUIET) entry.heard.push(peak * width);
  }, POLL);
}

window.lab = {
  async register(name, sipInfo, instanceId) {
    const phone = new WebPhone({ sipInfo, instanceId, autoAnswer: true });
    const known = { phone, calls: [], wire: [] };
    phones.set(name, known);
    phone.sipClient.on("inboundMessage", (message) => known.wire.push(`< ${message.subject}`));
    phone.sipClient.on("outboundMessage", (message) => known.wire.push(`> ${message.subject}`));
    phone.on("inboundCall", (session) => adopt(known, session));
    phone.on("outboundCall", (session) => adopt(known, session));
    await phone.start();
  },
  restart: (name) => phones.get(name).phone.start(),
  dispose: (name) => phones.get(name).phone.dispose(),
  wire: (name) => phones.get(name).wire,
  closed: (name) => until(() => phones.get(name).phone.sipClient.wsc.readyState === 3, "socket closed"),

  // Returns at once: the SDK's promise is kept only when the call is answered or has failed.
  call(name, to, callerId, headers) {
    const known = phones.get(name);
    known.phone.call(to, callerId ?? undefined, headers ? { headers } : undefined).catch((error) => {
      known.calls.at(-1).states.push(`error: ${error}`);
    });
    return known.calls.length - 1;
  },
  async arrived(name, number) {
    await until(() => call(name, number), `call ${number} of ${name}`);
  },
  async until(name, number, state) {
    const entry = call(name, number);
    await until(() => entry.states.some((one) => one.startsWith(state)), `${state} after ${entry.states}`);
  },
  facts(name, number) {
    const { session, states } = call(name, number);
    return {
      states,
      direction: session.direction,
      call_id: session.callId,
      session_id: attempt(() => session.sessionId),
      party_id: attempt(() => session.partyId),
      remote_number: attempt(() => session.remoteNumber),
      local_number: attempt(() => session.localNumber),
      header: attempt(() => session.sipMessage.headers),
      call_info: attempt(() => session.rcApiCallInfo),
      connection: attempt(() => session.rtcPeerConnection.connectionState),
      listed: phones.get(name).phone.callSessions.includes(session),
    };
  },
  // Runs a method of the SDK's session and returns what it returned, where that is plain data.
  async act(name, number, method, args) {
    const result = await call(name, number).session[method](...args);
    return result === undefined || typeof result === "boolean" ? null : JSON.parse(JSON.stringify(result));
  },
  // What it returns has functions, so that it stays here.
  async warmTransfer(name, number, target) {
    const entry = call(name, number);
    entry.consulting = await entry.session.warmTransfer(target);
  },
  completeWarmTransfer: (name, number) => call(name, number).consulting.complete(),
  // What the caller has chosen. The reply is a text, or what 2.5 takes for one of another type.
  reply: async (name, number, reply) => (await call(name, number).session.reply(reply)).body,
  async listen(name, number) {
    const entry = call(name, number);
    await audio.resume();
    await until(() => entry.session.audioElement?.srcObject, "remote sound");
    listen(entry);
  },
  // How many seconds each frequency was the strongest one, since the last time that was asked.
  heard(name, number) {
    return call(name, number).heard.splice(0);
  },
};
