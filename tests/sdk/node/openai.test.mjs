// The OpenAI SDK: chat completions, Responses, embeddings, models.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import OpenAI from "openai";
import { collect, startAll } from "./gateway.mjs";
import { CHAT_TOOL, CITY_SCHEMA, PNG_DATA_URL, PNG_URL, RESPONSES_TOOL } from "./samples.mjs";

const messages = [{ role: "user", content: "Say hello." }];
const weather = [{ role: "user", content: "What is the weather in Hanoi?" }];
let all;
let client;

before(async () => {
  all = await startAll();
  client = new OpenAI({ baseURL: `${all.url}/v1`, apiKey: "sk-any", maxRetries: 0 });
});
after(() => all?.stop());

describe("chat completions", () => {
  test("plain", async () => {
    const { data, response } = await client.chat.completions.create({ model: "gpt-5-mini", messages }).withResponse();
    assert.ok(data.choices[0].message.content);
    assert.equal(data.model, "gpt-5-mini");
    assert.equal(data.usage.total_tokens, data.usage.prompt_tokens + data.usage.completion_tokens);
    assert.equal(response.headers.get("x-pinhole-upstream"), "openai");
    assert.equal(data._request_id, response.headers.get("x-request-id"));
  });

  test("stream", async () => {
    const request = client.chat.completions.create({ model: "gpt-5-mini", messages, stream: true });
    const { data, response } = await request.withResponse();
    assert.equal(response.headers.get("x-cache"), "MISS");
    const chunks = await collect(data);
    assert.ok(chunks.map((chunk) => chunk.choices[0].delta.content ?? "").join(""));
    assert.equal(chunks.at(-1).choices[0].finish_reason, "stop");
    assert.ok(
      chunks.every((chunk) => !chunk.usage),
      "usage was not asked for",
    );
  });

  test("stream with usage", async () => {
    const stream_options = { include_usage: true };
    const chunks = await collect(
      await client.chat.completions.create({ model: "gpt-5-mini", messages, stream: true, stream_options }),
    );
    assert.deepEqual(chunks.at(-1).choices, []);
    assert.ok(chunks.at(-1).usage.completion_tokens > 0);
  });

  test("tools over two turns", async () => {
    const tools = [CHAT_TOOL];
    const first = await client.chat.completions.create({ model: "gpt-5", messages: weather, tools });
    const message = first.choices[0].message;
    const call = message.tool_calls[0];
    assert.equal(typeof JSON.parse(call.function.arguments).city, "string");
    const result = { role: "tool", tool_call_id: call.id, content: "31 degrees" };
    const second = await client.chat.completions.create({
      model: "gpt-5",
      messages: [...weather, message, result],
      tools,
    });
    assert.ok(second.choices[0].message.content);
  });

  test("parallel tools, streamed", async () => {
    const stream = client.chat.completions.stream({
      model: "sim-gpt+parallel-2",
      messages: weather,
      tools: [CHAT_TOOL],
    });
    const calls = (await stream.finalChatCompletion()).choices[0].message.tool_calls;
    assert.equal(new Set(calls.map((call) => call.id)).size, 2);
    for (const call of calls) assert.equal(typeof JSON.parse(call.function.arguments).city, "string");
  });

  for (const [name, url] of [
    ["base64", PNG_DATA_URL],
    ["url", PNG_URL],
  ]) {
    test(`vision by ${name}`, async () => {
      const content = [
        { type: "text", text: "What is this?" },
        { type: "image_url", image_url: { url } },
      ];
      const answer = await client.chat.completions.create({ model: "gpt-4o", messages: [{ role: "user", content }] });
      assert.ok(answer.choices[0].message.content);
    });
  }

  test("JSON mode and structured output", async () => {
    const formats = [
      { type: "json_object" },
      { type: "json_schema", json_schema: { name: "city", strict: true, schema: CITY_SCHEMA } },
    ];
    for (const response_format of formats) {
      const answer = await client.chat.completions.create({ model: "gpt-5-mini", messages, response_format });
      const value = JSON.parse(answer.choices[0].message.content);
      assert.equal(typeof value, "object");
      if (response_format.type === "json_schema") assert.equal(typeof value.inhabitants, "number");
    }
  });

  test("reasoning", async () => {
    const request = { model: "sim-gpt+reasoning", messages, reasoning_effort: "high" };
    const { usage } = await client.chat.completions.create(request);
    assert.ok(usage.completion_tokens_details.reasoning_tokens > 0);
  });

  test("eight at once", async () => {
    const calls = Array.from({ length: 8 }, () => client.chat.completions.create({ model: "gpt-5", messages }));
    assert.equal(new Set((await Promise.all(calls)).map((answer) => answer._request_id)).size, 8);
  });

  test("typed errors", async () => {
    const call = (model) => client.chat.completions.create({ model, messages });
    await assert.rejects(call("sim-gpt+error-429"), (error) => {
      assert.ok(error instanceof OpenAI.RateLimitError);
      assert.equal(error.headers.get("retry-after"), "1");
      return true;
    });
    await assert.rejects(call("sim-gpt+error-401"), OpenAI.AuthenticationError);
    await assert.rejects(call("sim-gpt+error-400"), OpenAI.BadRequestError);
    await assert.rejects(call("sim-gpt+html-500"), OpenAI.InternalServerError);
    await assert.rejects(call("gpt-5-mni"), (error) => {
      assert.ok(error instanceof OpenAI.NotFoundError);
      assert.equal(error.code, "model_not_found");
      assert.match(error.message, /gpt-5-mini/);
      return true;
    });
    await assert.rejects(call("openai:gpt-4o?temperature=hot"), { code: "invalid_parameter", status: 400 });
  });

  test("a cut stream is no clean end", async () => {
    const stream = await client.chat.completions.create({ model: "sim-gpt+cut-3", messages, stream: true });
    await assert.rejects(collect(stream));
  });

  test("cancel in the middle", async () => {
    const since = all.gateway.lines.length;
    const stream = await client.chat.completions.create({
      model: "sim-gpt+slow-100+tokens-500",
      messages,
      stream: true,
    });
    for await (const chunk of stream) {
      assert.ok(chunk.id);
      stream.controller.abort();
      break;
    }
    await all.gateway.waitFor((line) => line.includes("client_cancelled"), since);
  });

  test("cancel before the first byte", async () => {
    const since = all.gateway.lines.length;
    const aborter = new AbortController();
    const call = client.chat.completions.create(
      { model: "sim-gpt+slow-first-20s", messages },
      { signal: aborter.signal },
    );
    setTimeout(() => aborter.abort(), 300);
    await assert.rejects(call, OpenAI.APIUserAbortError);
    await all.gateway.waitFor((line) => line.includes("client_cancelled"), since);
  });
});

describe("responses", () => {
  test("plain", async () => {
    const answer = await client.responses.create({ model: "gpt-5", input: "Say hello." });
    assert.equal(answer.status, "completed");
    assert.ok(answer.output_text);
  });

  test("stream events", async () => {
    const events = await collect(await client.responses.create({ model: "gpt-5", input: "Say hello.", stream: true }));
    assert.equal(events[0].type, "response.created");
    assert.equal(events.at(-1).type, "response.completed");
    assert.ok(events.filter((event) => event.type === "response.output_text.delta").length > 0);
  });

  test("tools over two turns", async () => {
    const tools = [RESPONSES_TOOL];
    const first = await client.responses.create({ model: "gpt-5", input: weather, tools });
    const call = first.output.find((item) => item.type === "function_call");
    assert.equal(typeof JSON.parse(call.arguments).city, "string");
    const result = { type: "function_call_output", call_id: call.call_id, output: "31 degrees" };
    const second = await client.responses.create({
      model: "gpt-5",
      input: [...weather, ...first.output, result],
      tools,
    });
    assert.ok(second.output_text);
  });

  test("structured output", async () => {
    const text = { format: { type: "json_schema", name: "city", strict: true, schema: CITY_SCHEMA } };
    const answer = await client.responses.create({ model: "gpt-5", input: "Describe Hanoi.", text });
    assert.equal(typeof JSON.parse(answer.output_text).name, "string");
  });

  test("typed errors", async () => {
    const call = (model) => client.responses.create({ model, input: "x" });
    await assert.rejects(call("sim-gpt+error-429"), OpenAI.RateLimitError);
    await assert.rejects(call("gpt-5-mni"), { code: "model_not_found", status: 404 });
    await assert.rejects(call("gemini-3.5-flash"), { code: "endpoint_not_enabled", status: 404 });
  });
});

test("embeddings", async () => {
  const answer = await client.embeddings.create({ model: "text-embedding-3-small", input: ["one", "two"] });
  assert.deepEqual(
    answer.data.map((item) => item.index),
    [0, 1],
  );
  assert.equal(typeof answer.data[0].embedding[0], "number");
});

test("models", async () => {
  const ids = (await collect(client.models.list())).map((model) => model.id);
  assert.ok(ids.includes("gpt-5-mini") && ids.includes("claude-sonnet-4-6"));
  assert.equal((await client.models.retrieve("gpt-5-mini")).id, "gpt-5-mini");
});
