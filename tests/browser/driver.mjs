// Chromium with pages that hold the SDK, or JsSIP. Takes one JSON command a line on standard input, answers in the same way,
// and ends, with its browser, when the input ends: whoever started it cannot leave one behind.
//
// {"id": 1, "do": "open", "page": "a", "sdk": "2.5"}               a page of its own browser context
// {"id": 2, "do": "run", "page": "a", "name": "call", "args": []}  a function of page.js
// {"id": 3, "do": "close", "page": "a"}
//
// Answers: {"id": 1, "value": …} or {"id": 1, "error": "…"}; the first line is {"ready": true}.

import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { networkInterfaces } from "node:os";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";
import { bundle } from "./bundle.mjs";

const HERE = new URL(".", import.meta.url);
const file = (path) => readFileSync(new URL(path, HERE));
const page = (...scripts) =>
  "<!doctype html><title>a phone</title>" + scripts.map((name) => `<script src="/${name}"></script>`).join("");

// Both builds set window.WebPhone. They are served as npm installed them.
const SERVED = {
  "/page.js": ["text/javascript; charset=utf-8", file("page.js")],
  "/sdk-2.1.js": ["text/javascript; charset=utf-8", file("node_modules/sdk-2.1/dist/esm/index.umd.js")],
  "/sdk-2.5.js": ["text/javascript; charset=utf-8", file("node_modules/sdk-2.5/dist/index.iife.js")],
  "/2.1": ["text/html; charset=utf-8", page("ears.js", "sdk-2.1.js", "page.js")],
  "/2.5": ["text/html; charset=utf-8", page("ears.js", "sdk-2.5.js", "page.js")],
  "/ears.js": ["text/javascript; charset=utf-8", file("ears.js")],
  "/jssip-page.js": ["text/javascript; charset=utf-8", file("jssip-page.js")],
  "/jssip.js": ["text/javascript; charset=utf-8", bundle("jssip", "JsSIP")],
  "/jssip": ["text/html; charset=utf-8", page("ears.js", "jssip.js", "jssip-page.js")],
};

// The service's certificate is its own; sound must need no click; and nothing may leave this machine: 2.1 reports its
// use to a statistics service.
const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--ignore-certificate-errors",
  "--use-fake-device-for-media-stream",
  "--use-fake-ui-for-media-stream",
  "--autoplay-policy=no-user-gesture-required",
  "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
];
// Without a network, Chromium would find no address to send sound from.
const isAlone = Object.values(networkInterfaces()).flat().every((address) => address.internal);
if (isAlone) FLAGS.push("--allow-loopback-in-peer-connection");

const server = createServer((request, response) => {
  const [type, body] = SERVED[request.url] ?? [];
  response.writeHead(body ? 200 : 404, { "Content-Type": type ?? "text/plain" });
  response.end(body);
});
await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
const origin = `http://127.0.0.1:${server.address().port}`;
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  headless: true,
  args: [...FLAGS, ...process.argv.slice(2)],
});

const pages = new Map();

const commands = {
  async open({ page, sdk }) {
    const context = await browser.newContext({ permissions: ["microphone"] });
    await context.route("**", (route) =>
      route.request().url().startsWith(origin) ? route.continue() : route.abort(),
    );
    const opened = await context.newPage();
    opened.on("pageerror", (error) => process.stderr.write(`${page}: ${error.stack ?? error}\n`));
    await opened.goto(`${origin}/${sdk}`);
    pages.set(page, opened);
  },
  async run({ page, name, args }) {
    return await pages.get(page).evaluate(([name, args]) => window.lab[name](...args), [name, args]);
  },
  async close({ page }) {
    await pages.get(page).context().close();
    pages.delete(page);
  },
};

const write = (answer) => process.stdout.write(`${JSON.stringify(answer)}\n`);

async function obey(line) {
  const command = JSON.parse(line);
  try {
    write({ id: command.id, value: (await commands[command.do](command)) ?? null });
  } catch (error) {
    write({ id: command.id, error: String(error.message ?? error) });
  }
}

const input = createInterface({ input: process.stdin });
input.on("line", obey);
input.on("close", async () => {
  server.close();
  await browser.close();
  process.exit(0);
});
write({ ready: true });
