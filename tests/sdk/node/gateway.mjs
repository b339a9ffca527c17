// Starts the simulated providers and the gateway, and reads their addresses from what they print.
// The Node half of tests/sdk/python/gateway.py: the only place that knows how the programs are started.

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { PassThrough } from "node:stream";

const ADDRESS = /http:\/\/127\.0\.0\.1:\d+/g;
const PATIENCE_MS = 20_000;

const PROVIDERS = `
[providers.openai]
type = "openai"
baseurl = "{sim}"
apikey = "sk-provider-openai"
models = ["gpt-5", "gpt-5-mini", "gpt-4o", "text-embedding-3-small", "sim-gpt+*"]

[providers.anthropic]
type = "anthropic"
baseurl = "{sim}"
apikey = "sk-provider-anthropic"
models = ["claude-sonnet-4-6", "sim-claude+*"]

[providers.gemini]
type = "gemini"
baseurl = "{sim}"
apikey = "sk-provider-gemini"
models = ["gemini-3.5-flash", "gemini-embedding-001", "sim-gemini+*"]
`;

/** One running program: its output so far, and a way to wait for more of it. */
class Program {
  constructor(args, cwd) {
    if (!process.env.PINHOLE_BIN) throw new Error("PINHOLE_BIN is not set; run by tests/run sdk");
    const inherited = Object.entries(process.env).filter(
      ([name]) => !name.endsWith("_API_KEY") && !name.startsWith("PINHOLE_"),
    );
    const env = { ...Object.fromEntries(inherited), NO_COLOR: "1" };
    this.process = spawn(process.env.PINHOLE_BIN, args, { cwd, env, stdio: ["ignore", "pipe", "pipe"] });
    this.ended = new Promise((resolve) => this.process.on("close", resolve));
    this.lines = [];
    this.waiting = new Set();
    const output = new PassThrough();
    this.process.stdout.pipe(output, { end: false });
    this.process.stderr.pipe(output, { end: false });
    createInterface({ input: output }).on("line", (line) => {
      this.lines.push(line);
      for (const wake of this.waiting) wake();
    });
  }

  /** The first truthy `await wanted(line)` among the lines from `since` on. */
  async waitFor(wanted, since = 0) {
    const deadline = Date.now() + PATIENCE_MS;
    for (let seen = since; ; seen += 1) {
      while (seen >= this.lines.length) await this.#more(deadline);
      const found = await wanted(this.lines[seen]);
      if (found) return found;
    }
  }

  #more(deadline) {
    return new Promise((resolve, reject) => {
      const settle = (act) => {
        clearTimeout(timer);
        this.waiting.delete(wake);
        act();
      };
      const wake = () => settle(resolve);
      const giveUp = () =>
        settle(() =>
          reject(
            new Error(`pinhole never printed what was waited for; its output:\n${this.lines.slice(-40).join("\n")}`),
          ),
        );
      const timer = setTimeout(giveUp, Math.max(0, deadline - Date.now()));
      this.waiting.add(wake);
      this.ended.then(() => this.waiting.has(wake) && giveUp());
    });
  }

  async stop() {
    this.process.kill("SIGTERM");
    const timer = setTimeout(() => this.process.kill("SIGKILL"), 10_000);
    await this.ended;
    clearTimeout(timer);
  }
}

async function servesTraffic(url) {
  try {
    return (await fetch(`${url}/targets`)).ok;
  } catch {
    return false;
  }
}

/** A simulator and a gateway in front of it; `stop` ends both. */
export async function startAll() {
  const folder = mkdtempSync(join(tmpdir(), "pinhole-judge-"));
  const sim = new Program(["simulate", "--listen", "127.0.0.1:0"]);
  const simUrl = await sim.waitFor((line) => line.match(ADDRESS)?.[0]);
  const config = join(folder, "pinhole.toml");
  writeFileSync(config, PROVIDERS.replaceAll("{sim}", simUrl));
  const gateway = new Program(
    ["serve", "--config", config, "--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0", "--data-dir", folder],
    folder,
  );
  // The banner also names the operations listener and may name providers; only traffic answers /targets.
  const url = await gateway.waitFor(async (line) => {
    for (const candidate of line.match(ADDRESS) ?? []) {
      if (candidate !== simUrl && (await servesTraffic(candidate))) return candidate;
    }
    return undefined;
  });
  const stop = async () => {
    await gateway.stop();
    await sim.stop();
    rmSync(folder, { recursive: true, force: true });
  };
  return { url, gateway, stop };
}

/** All items of an async iterable. */
export async function collect(items) {
  const all = [];
  for await (const item of items) all.push(item);
  return all;
}
