"""The OpenAI SDK on chat completions, embeddings, legacy completions and models."""

import asyncio
import json

import openai
import pytest
from samples import CHAT_TOOL, PNG_DATA_URL, PNG_URL, City

HELLO = [{"role": "user", "content": "Say hello."}]
WEATHER = [{"role": "user", "content": "What is the weather in Hanoi?"}]


@pytest.fixture(scope="module")
def client(gateway):
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="sk-any", max_retries=0) as client:
        yield client


def test_plain(client):
    raw = client.chat.completions.with_raw_response.create(model="gpt-5-mini", messages=HELLO, temperature=0.7)
    answer = raw.parse()
    assert answer.choices[0].message.content
    assert answer.choices[0].finish_reason == "stop"
    assert answer.model == "gpt-5-mini"
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens > 0
    assert raw.headers["x-pinhole-upstream"] == "openai"
    assert raw.headers["x-pinhole-model"] == "gpt-5-mini"
    assert len(raw.headers["x-pinhole-id"]) == 36
    assert answer._request_id == raw.headers["x-request-id"]


def test_stream(client):
    stream = client.chat.completions.create(model="gpt-5-mini", messages=HELLO, stream=True)
    assert stream.response.headers["x-cache"] == "MISS"
    assert stream.response.headers["content-type"].startswith("text/event-stream")
    chunks = list(stream)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert all(chunk.usage is None for chunk in chunks), "usage was not asked for"


def test_stream_with_usage(client):
    stream = client.chat.completions.create(
        model="gpt-5-mini", messages=HELLO, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    assert chunks[-1].choices == []
    assert chunks[-1].usage.completion_tokens > 0


def test_stream_says_what_plain_says(client):
    plain = client.chat.completions.create(model="gpt-4o", messages=HELLO)
    with client.chat.completions.stream(model="gpt-4o", messages=HELLO) as stream:
        final = stream.get_final_completion()
    assert final.choices[0].message.content
    assert final.choices[0].finish_reason == plain.choices[0].finish_reason


def test_tools_two_turns(client):
    first = client.chat.completions.create(model="gpt-5", messages=WEATHER, tools=[CHAT_TOOL])
    assert first.choices[0].finish_reason == "tool_calls"
    call = first.choices[0].message.tool_calls[0]
    assert call.function.name == "get_weather"
    assert isinstance(json.loads(call.function.arguments)["city"], str)

    result = {"role": "tool", "tool_call_id": call.id, "content": "31 degrees, humid"}
    messages = [*WEATHER, first.choices[0].message, result]
    second = client.chat.completions.create(model="gpt-5", messages=messages, tools=[CHAT_TOOL])
    assert second.choices[0].finish_reason == "stop"
    assert second.choices[0].message.content


@pytest.mark.parametrize("streamed", [False, True])
def test_parallel_tools(client, streamed):
    request = {"model": "sim-gpt+parallel-2", "messages": WEATHER, "tools": [CHAT_TOOL], "parallel_tool_calls": True}
    if streamed:
        with client.chat.completions.stream(**request) as stream:
            message = stream.get_final_completion().choices[0].message
    else:
        message = client.chat.completions.create(**request).choices[0].message
    calls = message.tool_calls
    assert len(calls) == 2
    assert calls[0].id != calls[1].id
    for call in calls:
        assert isinstance(json.loads(call.function.arguments)["city"], str)


@pytest.mark.parametrize("url", [PNG_DATA_URL, PNG_URL], ids=["base64", "url"])
def test_vision(client, url):
    content = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": url}}]
    answer = client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": content}])
    assert answer.choices[0].message.content


def test_json_mode(client):
    messages = [{"role": "user", "content": "List 3 capitals as JSON"}]
    answer = client.chat.completions.create(
        model="gpt-5-mini", messages=messages, response_format={"type": "json_object"}
    )
    assert isinstance(json.loads(answer.choices[0].message.content), dict)


def test_structured_output(client):
    messages = [{"role": "user", "content": "Describe Hanoi."}]
    answer = client.chat.completions.parse(model="gpt-5-mini", messages=messages, response_format=City)
    assert isinstance(answer.choices[0].message.parsed, City)


def test_structured_output_streamed(client):
    messages = [{"role": "user", "content": "Describe Hanoi."}]
    with client.chat.completions.stream(model="gpt-5-mini", messages=messages, response_format=City) as stream:
        final = stream.get_final_completion()
    assert isinstance(final.choices[0].message.parsed, City)


def test_reasoning_model(client):
    answer = client.chat.completions.create(
        model="sim-gpt+reasoning", messages=HELLO, reasoning_effort="high", max_completion_tokens=500
    )
    details = answer.usage.completion_tokens_details
    assert 0 < details.reasoning_tokens <= answer.usage.completion_tokens


def test_developer_role_reaches_a_reasoning_model(client):
    messages = [{"role": "developer", "content": "Be brief."}, *HELLO]
    assert client.chat.completions.create(model="o1", messages=messages).choices[0].message.content


def test_embeddings(client):
    # The SDK asks for base64 unless told otherwise, and decodes it.
    default = client.embeddings.create(model="text-embedding-3-small", input=["one", "two"])
    assert [item.index for item in default.data] == [0, 1]
    assert len(default.data[0].embedding) > 1
    assert all(isinstance(value, float) for value in default.data[0].embedding)
    floats = client.embeddings.create(model="text-embedding-3-small", input="one", encoding_format="float")
    assert len(floats.data[0].embedding) == len(default.data[0].embedding)
    assert default.usage.prompt_tokens > 0


def test_legacy_completion(client):
    answer = client.completions.create(model="gpt-3.5-turbo-instruct", prompt="Once")
    assert answer.choices[0].text


def test_models(client):
    ids = {model.id for model in client.models.list()}
    assert {"gpt-5-mini", "claude-sonnet-4-6", "gemini-3.5-flash"} <= ids
    model = client.models.retrieve("gpt-5-mini")
    assert model.id == "gpt-5-mini"
    assert "/v1/chat/completions" in model.supported_endpoints


def test_provider_prefix(client):
    answer = client.chat.completions.create(model="openai/gpt-5-mini", messages=HELLO)
    assert answer.choices[0].message.content


def test_compressed_answer(client):
    assert client.chat.completions.create(model="sim-gpt+gzip", messages=HELLO).choices[0].message.content
    stream = client.chat.completions.create(model="sim-gpt+gzip", messages=HELLO, stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in stream)


def test_upstream_rate_limit(client):
    with pytest.raises(openai.RateLimitError) as caught:
        client.chat.completions.create(model="sim-gpt+error-429", messages=HELLO)
    assert caught.value.response.headers["retry-after"] == "1"
    assert caught.value.response.headers["x-pinhole-upstream-status"] == "429"
    assert caught.value.message


def test_upstream_refuses_key(client):
    with pytest.raises(openai.AuthenticationError) as caught:
        client.chat.completions.create(model="sim-gpt+error-401", messages=HELLO, stream=True)
    assert caught.value.message


def test_upstream_bad_request(client):
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(model="sim-gpt+error-400", messages=HELLO)


def test_upstream_html_error(client):
    with pytest.raises(openai.InternalServerError) as caught:
        client.chat.completions.create(model="sim-gpt+html-500", messages=HELLO)
    assert caught.value.status_code == 500
    assert "<" in caught.value.response.text, "the provider's page arrives as it was sent"


def test_gateway_unknown_model(client):
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="gpt-5-mni", messages=HELLO)
    assert caught.value.code == "model_not_found"
    assert caught.value.param == "model"
    assert "gpt-5-mini" in caught.value.message


def test_gateway_bad_parameter(client):
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="openai:gpt-4o?temperature=hot", messages=HELLO)
    assert caught.value.code == "invalid_parameter"


def test_gateway_endpoint_not_enabled(client):
    with pytest.raises(openai.NotFoundError) as caught:
        client.responses.create(model="gemini-3.5-flash", input="hello")
    assert caught.value.code == "endpoint_not_enabled"
    assert "openai_responses" in caught.value.message


def test_gateway_key(locked, gateway_key):
    with pytest.raises(openai.AuthenticationError) as caught:
        openai.OpenAI(base_url=f"{locked.url}/v1", api_key="wrong", max_retries=0).models.list()
    assert caught.value.code == "invalid_api_key"
    client = openai.OpenAI(base_url=f"{locked.url}/v1", api_key=gateway_key, max_retries=0)
    assert client.chat.completions.create(model="gpt-5", messages=HELLO).choices[0].message.content


def test_cut_stream_is_no_clean_end(client):
    with pytest.raises(openai.APIConnectionError):
        list(client.chat.completions.create(model="sim-gpt+cut-3", messages=HELLO, stream=True))


def test_error_inside_the_stream(client):
    with pytest.raises(openai.APIError) as caught:
        list(client.chat.completions.create(model="sim-gpt+error-midstream", messages=HELLO, stream=True))
    assert caught.value.message


def test_client_time_limit(client, gateway):
    mark = gateway.mark()
    with pytest.raises(openai.APITimeoutError):
        client.with_options(timeout=0.5).chat.completions.create(model="sim-gpt+slow-first-20s", messages=HELLO)
    gateway.wait_for(lambda line: "client_cancelled" in line, since=mark)


def test_cancel_mid_stream(client, gateway):
    mark = gateway.mark()
    stream = client.chat.completions.create(model="sim-gpt+slow-100+tokens-500", messages=HELLO, stream=True)
    next(iter(stream))
    stream.close()
    gateway.wait_for(lambda line: "client_cancelled" in line, since=mark)


def test_async(gateway):
    async def scenario():
        async with openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key="sk-any", max_retries=0) as client:
            calls = [client.chat.completions.create(model="gpt-5-mini", messages=HELLO) for _ in range(8)]
            answers = await asyncio.gather(*calls)
            assert all(answer.choices[0].message.content for answer in answers)
            assert len({answer._request_id for answer in answers}) == 8

            stream = await client.chat.completions.create(model="gpt-5-mini", messages=HELLO, stream=True)
            assert "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

            with pytest.raises(openai.RateLimitError):
                await client.chat.completions.create(model="sim-gpt+error-429", messages=HELLO)

            mark = gateway.mark()
            slow = client.chat.completions.create(model="sim-gpt+slow-first-20s", messages=HELLO)
            task = asyncio.create_task(slow)
            done, _ = await asyncio.wait([task], timeout=0.5)
            assert not done
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            waiting = asyncio.to_thread(gateway.wait_for, lambda line: "client_cancelled" in line, mark)
            await waiting

    asyncio.run(scenario())
