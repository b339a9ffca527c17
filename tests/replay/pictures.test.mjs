// The HTML report of a made-up run in a real browser that has no network: light, dark, on paper, on a telephone, without scripts.
//
//     PAGES=folder with the pages  BROWSER=program  node --test tests/replay/pictures.test.mjs
//
// The pages come from `cargo run -p pinhole-replay --example faces -- FOLDER`; pictures of what was seen are put beside them.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";
import { Browser } from "./browser.mjs";

const folder = resolve(process.env.PAGES);
const url = (page) => pathToFileURL(join(folder, `${page}.html`)).href;
const PAGES = ["report", "many", "empty"];
const VIEWS = {
  light: {},
  dark: { dark: true },
  // A4 without its margins.
  print: { media: "print", width: 688, height: 1017 },
  narrow: { width: 360, height: 780 },
  "no-script": { script: false },
};
const BYTES_MAX = 3_000_000;

let browser;
before(() => { browser = new Browser(process.env.BROWSER); });
after(() => browser.close());

// What is wrong with the page, by looking at where things are. Runs in the page.
const FAULTS = `(() => {
  const faults = [];
  const seen = (element) => element.checkVisibility();
  if (document.documentElement.scrollWidth > innerWidth) faults.push("wider than the window: " + document.documentElement.scrollWidth);
  for (const svg of document.querySelectorAll("svg.chart")) {
    const { width, height } = svg.viewBox.baseVal;
    const name = svg.querySelector("title")?.textContent;
    if (!name || !svg.querySelector("desc")?.textContent) faults.push("a picture without words");
    const boxes = [];
    for (const text of svg.querySelectorAll("text")) {
      const box = text.getBBox();
      if (box.x < -1 || box.y < -1 || box.x + box.width > width + 1 || box.y + box.height > height + 1) faults.push(name + ": cut off: " + text.textContent);
      for (const other of boxes) {
        const apart = box.x + box.width <= other.x || other.x + other.width <= box.x || box.y + box.height <= other.y + 2 || other.y + other.height <= box.y + 2;
        if (!apart) faults.push(name + ": " + text.textContent + " lies on " + other.text);
      }
      boxes.push({ x: box.x, y: box.y, width: box.width, height: box.height, text: text.textContent });
    }
    for (const path of svg.querySelectorAll("path")) {
      const box = path.getBBox();
      if (box.x < -1 || box.y < -1 || box.x + box.width > width + 1 || box.y + box.height > height + 1) faults.push(name + ": a path leaves the picture");
    }
  }
  for (const heading of document.querySelectorAll("h1, h2")) if (!seen(heading)) faults.push("hidden: " + heading.textContent);
  if (/NaN|undefined|Infinity|\\bnull\\b/.test(document.querySelector("main").textContent)) faults.push("no number: " + /.{20}(NaN|undefined|Infinity|null).{20}/.exec(document.querySelector("main").textContent)?.[0]);
  return faults;
})()`;

// Contrast of text with what lies behind it (WCAG 2), at worst. Runs in the page.
const CONTRAST = `(() => {
  const light = (colour) => {
    const [r, g, b] = colour.match(/[\\d.]+/g).map((part) => part / 255).map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = getComputedStyle(at).backgroundColor;
      if (!colour.startsWith("rgba(0, 0, 0, 0")) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  let worst = { ratio: 21 };
  for (const element of document.querySelectorAll("p, li, td, th, summary, text, dd, dt, small, pre, del, ins, caption, a, h1, h2, h3, h4")) {
    if (!element.checkVisibility() || !element.textContent.trim()) continue;
    const style = getComputedStyle(element);
    const one = light(element instanceof SVGElement ? style.fill : style.color), other = light(behind(element));
    const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    if (ratio < worst.ratio) worst = { ratio, text: element.textContent.slice(0, 40) };
  }
  return worst;
})()`;

for (const page of PAGES) {
  for (const [name, view] of Object.entries(VIEWS)) {
    test(`${page}, ${name}`, async () => {
      const tab = await browser.tab();
      await tab.open(url(page), view);
      // With scripts disabled for the page, the debugger may still ask.
      assert.deepEqual(await tab.ask(FAULTS), []);
      const worst = await tab.ask(CONTRAST);
      assert.ok(worst.ratio >= 4.5, `contrast ${worst.ratio} of “${worst.text}”`);
      writeFileSync(join(folder, `${page}-${name}.png`), await tab.picture());
      if (name === "print") writeFileSync(join(folder, `${page}.pdf`), await tab.paper());
      assert.deepEqual(tab.complaints, []);
      assert.deepEqual(tab.requests.filter((asked) => asked !== url(page) && !asked.startsWith("data:")), []);
      await tab.close();
    });
  }
}

test("the pages are small", () => {
  for (const page of PAGES) assert.ok(statSync(join(folder, `${page}.html`)).size < BYTES_MAX, page);
});

test("the page's policy names its own style and script", () => {
  const text = readFileSync(join(folder, "report.html"), "utf8");
  for (const [, tag, body] of text.matchAll(/<(style|script)>([^]*?)<\/\1>/g)) {
    const hash = createHash("sha256").update(body).digest("base64");
    assert.ok(text.includes(`${tag}-src 'sha256-${hash}'`), `${tag}: put ${hash} into replay/src/faces/html/mod.rs`);
  }
});

test("a table is sorted by a click and back by another", async () => {
  const tab = await browser.tab();
  await tab.open(url("report"));
  const column = `[...document.querySelector("#metrics tbody").rows].map((row) => Number(row.cells[3].dataset.key))`;
  const click = `document.querySelectorAll("#metrics thead button")[3].click()`;
  const sorted = (await tab.ask(column)).toSorted((a, b) => a - b);
  await tab.ask(click);
  assert.deepEqual(await tab.ask(column), sorted);
  await tab.ask(click);
  assert.deepEqual(await tab.ask(column), sorted.toReversed());
  assert.deepEqual(tab.complaints, []);
  await tab.close();
});

test("a drawer opens without scripts and marks what differs", async () => {
  const tab = await browser.tab();
  await tab.open(url("report"), { script: false });
  const inside = `document.querySelector("details.pair del").checkVisibility()`;
  assert.equal(await tab.ask(inside), false);
  const { x, y } = await tab.ask(`(() => { const pair = document.querySelector("details.pair summary"); pair.scrollIntoView({ block: "center" }); const box = pair.getBoundingClientRect(); return { x: box.x + 20, y: box.y + 8 } })()`);
  for (const type of ["mousePressed", "mouseReleased"]) await tab.send("Input.dispatchMouseEvent", { type, x, y, button: "left", clickCount: 1 });
  assert.equal(await tab.ask(inside), true);
  assert.equal(await tab.ask(`document.querySelector("details.pair del").textContent`), "Paris");
  assert.equal(await tab.ask(`document.querySelector("details.pair ins").textContent`), "Lyon");
  writeFileSync(join(folder, "drawer.png"), await tab.picture());
  await tab.close();
});

test("what the page did not bring does not run", async () => {
  const text = readFileSync(join(folder, "report.html"), "utf8");
  writeFileSync(join(folder, "hostile.html"), text.replace("</main>", `<script>document.title = "stolen"</script><img src="http://192.0.2.1/x.png"></main>`));
  const tab = await browser.tab();
  await tab.open(url("hostile"));
  assert.notEqual(await tab.ask("document.title"), "stolen");
  assert.ok(tab.complaints.some((complaint) => complaint.includes("Content Security Policy")), `${tab.complaints}`);
  await tab.close();
});
