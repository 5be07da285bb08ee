// How long a state takes from a page to the last of many tabs, by way of a SharedWorker: what `python -m coordinator bench`
// drives. One JSON object a line on standard input, one answer each; ends, with its browser, when the input ends.
//
// {"state": {…}}                            opens the page that posts this state; answers {"ready": true}
// {"tabs": 10}                              opens tabs until there are so many; answers {"tabs": 10}
// {"publications": 20, "pause_ms": 10}      answers {"delays_ms": […]}: until the last tab had read each state

import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

// Each tab has a port; what comes in at one goes out at all others.
const WORKER = `
  const ports = [];
  onconnect = ({ ports: [port] }) => {
    ports.push(port);
    port.onmessage = ({ data }) => {
      for (const other of ports) if (other !== port) other.postMessage(data);
    };
    port.postMessage({ sequence: 0 });
  };`;

// Times are milliseconds since 1970 on the clock that all pages of a browser share. A message is read when its data is.
const PAGE = `
  const now = () => performance.timeOrigin + performance.now();
  const { port } = new SharedWorker("/worker.js");
  const heard = new Map();
  window.connected = new Promise((resolve) => {
    port.onmessage = ({ data }) => {
      heard.set(data.sequence, now());
      resolve();
    };
  });
  const passed = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  window.heard = async (sequences) => {
    while (!heard.has(sequences.at(-1))) await passed(5); // they come in order
    return sequences.map((sequence) => heard.get(sequence));
  };
  let sequence = 0;
  window.publish = async (state, count, pause) => {
    const sent = [];
    while (sent.length < count) {
      sequence += 1;
      sent.push([sequence, now()]);
      port.postMessage({ ...state, sequence });
      await passed(pause);
    }
    return sent;
  };`;

const SERVED = {
  "/": ["text/html; charset=utf-8", `<!doctype html><title>a window</title><script>${PAGE}</script>`],
  "/worker.js": ["text/javascript; charset=utf-8", WORKER],
};
// Without these two, a page's clock is coarsened to a tenth of a millisecond.
const ISOLATED = { "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp" };

const server = createServer((request, response) => {
  const [type, body] = SERVED[request.url] ?? [];
  response.writeHead(body ? 200 : 404, { "Content-Type": type ?? "text/plain", ...ISOLATED });
  response.end(body);
});
await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  headless: true,
  args: ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"],
});
const context = await browser.newContext();

let state = {};
let real;
const tabs = [];

async function open() {
  const page = await context.newPage();
  page.on("pageerror", (error) => process.stderr.write(`${error.stack ?? error}\n`));
  await page.goto(`http://127.0.0.1:${server.address().port}/`);
  await page.evaluate(() => window.connected);
  return page;
}

async function publish(count, pause) {
  const sent = await real.evaluate(([state, count, pause]) => window.publish(state, count, pause), [state, count, pause]);
  const sequences = sent.map(([sequence]) => sequence);
  const heard = await Promise.all(tabs.map((tab) => tab.evaluate((wanted) => window.heard(wanted), sequences)));
  return sent.map(([, at], index) => Math.max(...heard.map((times) => times[index] - at)));
}

async function obey(command) {
  if (command.state) {
    state = command.state;
    real = await open();
    return { ready: true };
  }
  if (command.tabs) {
    while (tabs.length < command.tabs) tabs.push(await open());
    return { tabs: tabs.length };
  }
  return { delays_ms: await publish(command.publications, command.pause_ms) };
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(await obey(JSON.parse(line)))}\n`);
}
server.close();
await browser.close();
process.exit(0);
