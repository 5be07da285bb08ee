// The service's REST side, asked by the npm package @rc-ex/core as it is published. Prints what came, as JSON.
//
// node rest.mjs DIRECTORY, with NODE_EXTRA_CA_CERTS for the service's authority

import { readFileSync } from "node:fs";
import core from "@rc-ex/core";

const RingCentral = core.default ?? core;
const file = JSON.parse(readFileSync(`${process.argv[2]}/rest.json`));
const rc = new RingCentral({ server: file.server, clientId: file.clientId, clientSecret: file.clientSecret });
const account = rc.restapi().account();

const token = await rc.authorize({ jwt: file.jwt["101"] });
const { sipInfo, device } = await rc.restapi().clientInfo().sipProvision().post({ sipInfo: [{ transport: "WSS" }] });
const me = await account.extension().get();
const numbers = await account.extension().phoneNumber().get();
const { session } = await account.telephony().conference().post();
const looked = await account.telephony().sessions(session.id).get();
const refused = await account
  .telephony()
  .sessions("s-none")
  .get()
  .catch((error) => error.response);
await rc.refresh();
await rc.revoke();

console.log(
  JSON.stringify({
    token_type: token.token_type,
    username: sipInfo[0].username,
    device: device.id,
    extension: me.extensionNumber,
    caller_ids: numbers.records.filter((one) => one.features.includes("CallerId")).map((one) => one.phoneNumber),
    conference: session.voiceCallToken,
    origin: looked.origin.type,
    refused: [refused.status, refused.data.errorCode],
  }),
);
