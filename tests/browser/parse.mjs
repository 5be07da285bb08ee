// What JsSIP takes to read an INVITE and to write one as long, in microseconds: one JSON array on standard output.
// Takes the INVITE on standard input, and the number of rounds as its argument.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);
const lib = (name) => require(`jssip/lib/${name}`);
const Parser = lib("Parser.js");
const { OutgoingRequest } = lib("SIPMessage.js");

const frame = readFileSync(0, "utf8");
const ua = { configuration: { uri: "sip:bob@sip.test", use_preloaded_route: false }, contact: {}, get: () => null };
const read = Parser.parseMessage(frame, ua);
// The same fields once more, as JsSIP keeps those that it is to write.
const written = Object.create(OutgoingRequest.prototype);
Object.assign(written, { ua, method: "INVITE", ruri: read.ruri, body: read.body, extraHeaders: [], headers: {} });
for (const [name, fields] of Object.entries(read.headers)) {
  if (name !== "Content-Length" && name !== "User-Agent" && name !== "Supported") {
    written.headers[name] = fields.map((field) => field.raw);
  }
}

const samples = [];
for (let round = 0; round < Number(process.argv[2]); round++) {
  const began = process.hrtime.bigint();
  for (let turn = 0; turn < 50; turn++) {
    Parser.parseMessage(frame, ua);
    written.toString();
  }
  samples.push(Number(process.hrtime.bigint() - began) / 50e3);
}
console.log(JSON.stringify({ samples, written: written.toString().length }));
