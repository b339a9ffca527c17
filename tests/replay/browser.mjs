// Chromium over its debugging pipe (file descriptors 3 and 4), with the network blocked. No package is needed for it.

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const ANSWER_MS = 30_000;

export class Browser {
  #child;
  #folder = mkdtempSync(join(tmpdir(), "pictures-"));
  #next = 1;
  #waiting = new Map();
  #listeners = new Map();
  #rest = "";

  constructor(program) {
    const flags = [
      "--headless", "--remote-debugging-pipe", `--user-data-dir=${this.#folder}`, "--no-first-run", "--disable-gpu",
      "--disable-dev-shm-usage", "--hide-scrollbars", "--disable-background-networking", "--disable-component-update",
      "--disable-default-apps", "--disable-sync", "--host-resolver-rules=MAP * ~NOTFOUND", "--proxy-server=127.0.0.1:9",
    ];
    // Chromium refuses its sandbox to root; what it opens here are our own files.
    if (process.getuid?.() === 0) flags.push("--no-sandbox");
    this.#child = spawn(program, [...flags, "about:blank"], { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] });
    this.ended = new Promise((done) => this.#child.once("exit", done));
    this.ended.then(() => this.#fail(new Error("the browser ended")));
    this.#child.once("error", (error) => this.#fail(error));
    this.#child.stdio[3].on("error", (error) => this.#fail(error));
    this.#child.stdio[4].setEncoding("utf8").on("data", (data) => this.#read(data));
  }

  #fail(error) {
    for (const { no } of this.#waiting.values()) no(error);
    this.#waiting.clear();
  }

  #read(data) {
    const messages = (this.#rest + data).split("\0");
    this.#rest = messages.pop();
    for (const text of messages) {
      const message = JSON.parse(text);
      if (message.id === undefined) {
        this.#listeners.get(message.sessionId)?.(message.method, message.params);
        continue;
      }
      const { yes, no } = this.#waiting.get(message.id) ?? {};
      this.#waiting.delete(message.id);
      if (message.error) no?.(new Error(`${message.error.message}`));
      else yes?.(message.result);
    }
  }

  send(method, params = {}, sessionId) {
    const id = this.#next++;
    return new Promise((yes, no) => {
      const timer = setTimeout(() => no(new Error(`${method}: no answer in ${ANSWER_MS} ms`)), ANSWER_MS);
      const after = (end) => (value) => { clearTimeout(timer); end(value); };
      this.#waiting.set(id, { yes: after(yes), no: after(no) });
      this.#child.stdio[3].write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
    });
  }

  async tab() {
    const { targetId } = await this.send("Target.createTarget", { url: "about:blank" });
    const { sessionId } = await this.send("Target.attachToTarget", { targetId, flatten: true });
    const tab = new Tab(this, sessionId, targetId);
    this.#listeners.set(sessionId, (method, params) => tab.heard(method, params));
    for (const domain of ["Page", "Runtime", "Log", "Network"]) await tab.send(`${domain}.enable`);
    await tab.send("Network.emulateNetworkConditions", { offline: true, latency: 0, downloadThroughput: 0, uploadThroughput: 0 });
    return tab;
  }

  async close() {
    await this.send("Browser.close").catch(() => this.#child.kill());
    await this.ended;
    rmSync(this.#folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

class Tab {
  /** What the page complained of, and what it asked the network for. */
  complaints = [];
  requests = [];
  #loaded = () => {};

  constructor(browser, session, target) {
    Object.assign(this, { browser, session, target });
  }

  send(method, params) {
    return this.browser.send(method, params, this.session);
  }

  heard(method, params) {
    if (method === "Page.loadEventFired") this.#loaded();
    if (method === "Network.requestWillBeSent") this.requests.push(params.request.url);
    if (method === "Log.entryAdded" && params.entry.level !== "verbose") this.complaints.push(params.entry.text);
    if (method === "Runtime.exceptionThrown") this.complaints.push(params.exceptionDetails.text);
    if (method === "Runtime.consoleAPICalled") this.complaints.push(`console.${params.type}`);
  }

  async open(url, { width = 1280, height = 900, dark = false, media = "", script = true } = {}) {
    await this.send("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: 1, mobile: false });
    await this.send("Emulation.setScriptExecutionDisabled", { value: !script });
    await this.send("Emulation.setEmulatedMedia", { media, features: [{ name: "prefers-color-scheme", value: dark ? "dark" : "light" }] });
    const loaded = new Promise((done) => { this.#loaded = done; });
    const { errorText } = await this.send("Page.navigate", { url });
    if (errorText) throw new Error(`${url}: ${errorText}`);
    await loaded;
  }

  /** The value of an expression in the page. */
  async ask(expression) {
    const { result, exceptionDetails } = await this.send("Runtime.evaluate", { expression, returnByValue: true });
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
    return result.value;
  }

  async picture() {
    const { cssContentSize } = await this.send("Page.getLayoutMetrics");
    const clip = { x: 0, y: 0, width: cssContentSize.width, height: Math.min(cssContentSize.height, 12_000), scale: 1 };
    return Buffer.from((await this.send("Page.captureScreenshot", { clip, captureBeyondViewport: true })).data, "base64");
  }

  async paper() {
    return Buffer.from((await this.send("Page.printToPDF", { printBackground: false, preferCSSPageSize: true })).data, "base64");
  }

  close() {
    return this.browser.send("Target.closeTarget", { targetId: this.target });
  }
}
