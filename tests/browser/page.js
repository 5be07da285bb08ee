// What a page does with the SDK, one function for each command of the tests. Phones have names; calls are counted from
// 0 in the order in which their phone saw them, whatever the SDK still lists.

const phones = new Map();

const call = (name, number) => phones.get(name).calls[number];
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
    await until(() => entry.session.audioElement?.srcObject, "remote sound");
    await listen(entry.heard, entry.session.audioElement.srcObject);
  },
  // How many seconds each frequency was the strongest one, since the last time that was asked.
  heard(name, number) {
    return call(name, number).heard.splice(0);
  },
};
