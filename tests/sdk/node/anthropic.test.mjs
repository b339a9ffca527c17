// The Anthropic SDK: Messages, token counting, models.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import Anthropic from "@anthropic-ai/sdk";
import { collect, startAll } from "./gateway.mjs";
import { ANTHROPIC_TOOL, PNG_BASE64, PNG_URL } from "./samples.mjs";

const model = "claude-sonnet-4-6";
const max_tokens = 200;
const messages = [{ role: "user", content: "Say hello." }];
const weather = [{ role: "user", content: "What is the weather in Hanoi?" }];
let all;
let client;

before(async () => {
  all = await startAll();
  client = new Anthropic({ baseURL: all.url, apiKey: "sk-ant-any", maxRetries: 0 });
});
after(() => all?.stop());

const textOf = (message) =>
  message.content
    .filter((block) => block.type === "text")
    .map((block) => block.text)
    .join("");

test("plain", async () => {
  const { data, response } = await client.messages.create({ model, max_tokens, messages }).withResponse();
  assert.ok(textOf(data));
  assert.equal(data.stop_reason, "end_turn");
  assert.ok(data.usage.output_tokens > 0);
  assert.equal(response.headers.get("x-pinhole-upstream"), "anthropic");
});

test("stream", async () => {
  const final = await client.messages.stream({ model, max_tokens, messages }).finalMessage();
  assert.ok(textOf(final));
  const kinds = (await collect(await client.messages.create({ model, max_tokens, messages, stream: true }))).map(
    (event) => event.type,
  );
  assert.equal(kinds[0], "message_start");
  assert.equal(kinds.at(-1), "message_stop");
});

test("tools over two turns", async () => {
  const tools = [ANTHROPIC_TOOL];
  const first = await client.messages.create({ model, max_tokens, messages: weather, tools });
  assert.equal(first.stop_reason, "tool_use");
  const call = first.content.find((block) => block.type === "tool_use");
  assert.equal(typeof call.input.city, "string");
  const result = { type: "tool_result", tool_use_id: call.id, content: "31 degrees" };
  const turns = [...weather, { role: "assistant", content: first.content }, { role: "user", content: [result] }];
  assert.ok(textOf(await client.messages.create({ model, max_tokens, messages: turns, tools })));
});

test("parallel tools, streamed", async () => {
  const request = { model: "sim-claude+parallel-2", max_tokens, messages: weather, tools: [ANTHROPIC_TOOL] };
  const final = await client.messages.stream(request).finalMessage();
  const calls = final.content.filter((block) => block.type === "tool_use");
  assert.equal(new Set(calls.map((call) => call.id)).size, 2);
});

for (const source of [
  { type: "base64", media_type: "image/png", data: PNG_BASE64 },
  { type: "url", url: PNG_URL },
]) {
  test(`vision by ${source.type}`, async () => {
    const content = [
      { type: "image", source },
      { type: "text", text: "What is this?" },
    ];
    assert.ok(textOf(await client.messages.create({ model, max_tokens, messages: [{ role: "user", content }] })));
  });
}

test("reasoning", async () => {
  const thinking = { type: "enabled", budget_tokens: 1024 };
  const final = await client.messages
    .stream({ model: "sim-claude+reasoning", max_tokens: 2048, messages, thinking })
    .finalMessage();
  assert.equal(final.content[0].type, "thinking");
});

test("count tokens", async () => {
  assert.ok((await client.messages.countTokens({ model, messages })).input_tokens > 0);
});

test("models", async () => {
  const ids = (await collect(client.models.list())).map((entry) => entry.id);
  assert.ok(ids.includes(model));
});

test("typed errors", async () => {
  const call = (name) => client.messages.create({ model: name, max_tokens, messages });
  await assert.rejects(call("sim-claude+error-429"), (error) => {
    assert.ok(error instanceof Anthropic.RateLimitError);
    assert.equal(error.headers.get("retry-after"), "1");
    assert.equal(error.type, "rate_limit_error");
    return true;
  });
  await assert.rejects(call("sim-claude+error-401"), Anthropic.AuthenticationError);
  await assert.rejects(call("sim-claude+error-400"), Anthropic.BadRequestError);
  await assert.rejects(call("sim-claude+error-529"), { status: 529, type: "overloaded_error" });
  await assert.rejects(call("claude-sonet-4-6"), (error) => {
    assert.ok(error instanceof Anthropic.NotFoundError);
    assert.equal(error.type, "not_found_error");
    assert.match(error.message, /claude-sonnet-4-6/);
    return true;
  });
});

test("a cut stream is no clean end", async () => {
  const stream = await client.messages.create({ model: "sim-claude+cut-3", max_tokens, messages, stream: true });
  await assert.rejects(collect(stream));
});

test("cancel in the middle", async () => {
  const since = all.gateway.lines.length;
  const stream = await client.messages.create({
    model: "sim-claude+slow-100+tokens-500",
    max_tokens,
    messages,
    stream: true,
  });
  for await (const event of stream) {
    assert.ok(event.type);
    stream.controller.abort();
    break;
  }
  await all.gateway.waitFor((line) => line.includes("client_cancelled"), since);
});
