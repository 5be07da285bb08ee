// One script of a package that is written for Node.js' require(), as JsSIP is: for a page, or for a program.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { extname } from "node:path";

const REQUIRE = /\brequire\((['"])([^'"]+)\1\)/g;
// A package's own name for the build that runs in a browser.
const IN_BROWSERS = { debug: "debug/src/browser.js", events: "events/" };

export function bundle(name, global) {
  const here = createRequire(import.meta.url);
  const modules = new Map(); // path -> [code, what each name in it means]
  const visit = (path) => {
    if (modules.has(path)) return;
    const code = readFileSync(path, "utf8");
    const names = {};
    modules.set(path, [extname(path) === ".json" ? `module.exports = ${code}` : code, names]);
    for (const [, , wanted] of code.matchAll(REQUIRE)) {
      names[wanted] = createRequire(path).resolve(IN_BROWSERS[wanted] ?? wanted);
      visit(names[wanted]);
    }
  };
  const entry = here.resolve(name);
  visit(entry);
  const table = [...modules].map(
    ([path, [code, names]]) =>
      `${JSON.stringify(path)}: [function (require, module, exports) {${code}\n}, ${JSON.stringify(names)}]`,
  );
  return `globalThis[${JSON.stringify(global)}] = (() => {
  const process = { env: {} }, modules = {${table.join(",\n")}}, loaded = {};
  const load = (path) => {
    if (!(path in loaded)) {
      const module = (loaded[path] = { exports: {} });
      const [run, names] = modules[path];
      run((name) => load(names[name]), module, module.exports);
    }
    return loaded[path].exports;
  };
  return load(${JSON.stringify(entry)});
})();`;
}
