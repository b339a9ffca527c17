// The Google Gen AI SDK: generateContent and its relatives.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { ApiError, GoogleGenAI } from "@google/genai";
import { collect, startAll } from "./gateway.mjs";
import { CITY_SCHEMA, GEMINI_TOOL, PNG_BASE64, PNG_URL } from "./samples.mjs";

const model = "gemini-3.5-flash";
const config = { tools: [GEMINI_TOOL], automaticFunctionCalling: { disable: true } };
let all;
let client;

before(async () => {
  all = await startAll();
  client = new GoogleGenAI({ apiKey: "any", httpOptions: { baseUrl: all.url } });
});
after(() => all?.stop());

test("plain", async () => {
  const answer = await client.models.generateContent({ model, contents: "Say hello." });
  assert.ok(answer.text);
  assert.equal(answer.candidates[0].finishReason, "STOP");
  assert.ok(answer.usageMetadata.totalTokenCount > 0);
});

test("stream", async () => {
  const pieces = await collect(await client.models.generateContentStream({ model, contents: "Say hello." }));
  assert.ok(pieces.map((piece) => piece.text ?? "").join(""));
  assert.equal(pieces.at(-1).candidates[0].finishReason, "STOP");
});

test("tools over two turns", async () => {
  const question = { role: "user", parts: [{ text: "What is the weather in Hanoi?" }] };
  const first = await client.models.generateContent({ model, contents: [question], config });
  const call = first.functionCalls[0];
  assert.equal(typeof call.args.city, "string");
  const result = {
    role: "user",
    parts: [{ functionResponse: { name: call.name, response: { result: "31 degrees" } } }],
  };
  const contents = [question, first.candidates[0].content, result];
  assert.ok((await client.models.generateContent({ model, contents, config })).text);
});

test("parallel tools", async () => {
  const answer = await client.models.generateContent({ model: "sim-gemini+parallel-2", contents: "Weather?", config });
  assert.equal(answer.functionCalls.length, 2);
});

for (const [name, part] of [
  ["base64", { inlineData: { mimeType: "image/png", data: PNG_BASE64 } }],
  ["url", { fileData: { mimeType: "image/png", fileUri: PNG_URL } }],
]) {
  test(`vision by ${name}`, async () => {
    assert.ok((await client.models.generateContent({ model, contents: [{ text: "What is this?" }, part] })).text);
  });
}

test("JSON mode and structured output", async () => {
  for (const responseJsonSchema of [undefined, CITY_SCHEMA]) {
    const json = { responseMimeType: "application/json", responseJsonSchema };
    const answer = await client.models.generateContent({ model, contents: "Describe Hanoi as JSON.", config: json });
    const value = JSON.parse(answer.text);
    if (responseJsonSchema) assert.equal(typeof value.coastal, "boolean");
  }
});

test("count tokens, embeddings", async () => {
  assert.ok((await client.models.countTokens({ model, contents: "Say hello." })).totalTokens > 0);
  const answer = await client.models.embedContent({ model: "gemini-embedding-001", contents: ["one", "two"] });
  assert.ok(answer.embeddings[0].values.length > 1);
});

test("models", async () => {
  const names = (await collect(await client.models.list())).map((entry) => entry.name);
  assert.ok(names.includes(`models/${model}`));
});

test("typed errors", async () => {
  const call = (name) => client.models.generateContent({ model: name, contents: "x" });
  for (const status of [429, 401, 400, 500]) {
    await assert.rejects(call(`sim-gemini+error-${status}`), (error) => {
      assert.ok(error instanceof ApiError);
      assert.equal(error.status, status);
      return true;
    });
  }
  await assert.rejects(call("gemini-3.5-flsh"), (error) => {
    assert.equal(error.status, 404);
    assert.match(error.message, /model_not_found/);
    assert.match(error.message, /gemini-3.5-flash/);
    return true;
  });
});

test("a cut stream is no clean end", async () => {
  const stream = await client.models.generateContentStream({ model: "sim-gemini+cut-3", contents: "x" });
  await assert.rejects(collect(stream));
});

test("cancel in the middle", async () => {
  const since = all.gateway.lines.length;
  const aborter = new AbortController();
  const request = { model: "sim-gemini+slow-100+tokens-500", contents: "x", config: { abortSignal: aborter.signal } };
  const stream = await client.models.generateContentStream(request);
  await assert.rejects(async () => {
    for await (const piece of stream) {
      assert.ok(piece);
      aborter.abort();
    }
  });
  await all.gateway.waitFor((line) => line.includes("client_cancelled"), since);
});
