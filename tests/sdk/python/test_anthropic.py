"""The Anthropic SDK on Messages, token counting and models."""

import asyncio

import anthropic
import httpx2
import pytest
from samples import ANTHROPIC_TOOL, PNG_BASE64, PNG_URL, City

HELLO = [{"role": "user", "content": "Say hello."}]
WEATHER = [{"role": "user", "content": "What is the weather in Hanoi?"}]
MODEL = "claude-sonnet-4-6"


def connect(url, kind=anthropic.Anthropic, key="sk-ant-any"):
    return kind(base_url=url, api_key=key, max_retries=0)


@pytest.fixture(scope="module")
def client(gateway):
    with connect(gateway.url) as client:
        yield client


def text_of(message):
    return "".join(block.text for block in message.content if block.type == "text")


def code_of(error):
    """The gateway's stable code: where the SDK looks for one, or in the error object itself."""
    inner = error.body["error"]
    return error.error_code or inner.get("code")


def test_plain(client):
    raw = client.messages.with_raw_response.create(model=MODEL, max_tokens=200, system="Be brief.", messages=HELLO)
    answer = raw.parse()
    assert text_of(answer)
    assert answer.stop_reason == "end_turn"
    assert answer.model == MODEL
    assert answer.usage.input_tokens > 0
    assert answer.usage.output_tokens > 0
    assert raw.headers["x-pinhole-upstream"] == "anthropic"


def test_stream(client):
    with client.messages.stream(model=MODEL, max_tokens=200, messages=HELLO) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert text
    assert text == text_of(final)
    assert final.usage.output_tokens > 0


def test_stream_events(client):
    stream = client.messages.create(model=MODEL, max_tokens=200, messages=HELLO, stream=True)
    assert stream.response.headers["x-cache"] == "MISS"
    kinds = [event.type for event in stream]
    assert kinds[0] == "message_start"
    assert kinds[-2:] == ["message_delta", "message_stop"]


def test_tools_two_turns(client):
    first = client.messages.create(model=MODEL, max_tokens=200, messages=WEATHER, tools=[ANTHROPIC_TOOL])
    assert first.stop_reason == "tool_use"
    call = next(block for block in first.content if block.type == "tool_use")
    assert call.name == "get_weather"
    assert isinstance(call.input["city"], str)

    result = {"type": "tool_result", "tool_use_id": call.id, "content": "31 degrees, humid"}
    messages = [*WEATHER, {"role": "assistant", "content": first.content}, {"role": "user", "content": [result]}]
    second = client.messages.create(model=MODEL, max_tokens=200, messages=messages, tools=[ANTHROPIC_TOOL])
    assert second.stop_reason == "end_turn"
    assert text_of(second)


@pytest.mark.parametrize("streamed", [False, True])
def test_parallel_tools(client, streamed):
    request = {"model": "sim-claude+parallel-2", "max_tokens": 200, "messages": WEATHER, "tools": [ANTHROPIC_TOOL]}
    if streamed:
        with client.messages.stream(**request) as stream:
            message = stream.get_final_message()
    else:
        message = client.messages.create(**request)
    calls = [block for block in message.content if block.type == "tool_use"]
    assert len({call.id for call in calls}) == 2
    assert all(isinstance(call.input["city"], str) for call in calls)


@pytest.mark.parametrize(
    "source",
    [{"type": "base64", "media_type": "image/png", "data": PNG_BASE64}, {"type": "url", "url": PNG_URL}],
    ids=["base64", "url"],
)
def test_vision(client, source):
    content = [{"type": "image", "source": source}, {"type": "text", "text": "What is this?"}]
    answer = client.messages.create(model=MODEL, max_tokens=200, messages=[{"role": "user", "content": content}])
    assert text_of(answer)


def test_structured_output(client):
    messages = [{"role": "user", "content": "Describe Hanoi."}]
    answer = client.messages.parse(model=MODEL, max_tokens=200, messages=messages, output_format=City)
    assert isinstance(answer.parsed_output, City)


def test_reasoning(client):
    thinking = {"type": "enabled", "budget_tokens": 1024}
    with client.messages.stream(
        model="sim-claude+reasoning", max_tokens=2048, messages=HELLO, thinking=thinking
    ) as stream:
        final = stream.get_final_message()
    assert [block.type for block in final.content][:2] == ["thinking", "text"]


def test_prompt_caching_fields_pass(client):
    system = [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}]
    answer = client.messages.create(model="sim-claude+cached", max_tokens=200, system=system, messages=HELLO)
    assert answer.usage.cache_read_input_tokens > 0


def test_count_tokens(client):
    assert client.messages.count_tokens(model=MODEL, messages=HELLO).input_tokens > 0


def test_models(client):
    ids = {model.id for model in client.models.list()}
    assert MODEL in ids
    assert client.models.retrieve(MODEL).id == MODEL


def test_upstream_errors(client):
    def call(wish, **more):
        return client.messages.create(model=f"sim-claude+{wish}", max_tokens=20, messages=HELLO, **more)

    with pytest.raises(anthropic.RateLimitError) as caught:
        call("error-429")
    assert caught.value.type == "rate_limit_error"
    assert caught.value.response.headers["retry-after"] == "1"
    with pytest.raises(anthropic.AuthenticationError) as caught:
        call("error-401", stream=True)
    assert caught.value.type == "authentication_error"
    with pytest.raises(anthropic.BadRequestError) as caught:
        call("error-400")
    assert caught.value.type == "invalid_request_error"
    with pytest.raises(anthropic.OverloadedError) as caught:
        call("error-529")
    assert caught.value.type == "overloaded_error"
    with pytest.raises(anthropic.InternalServerError) as caught:
        call("html-500")
    assert "<" in caught.value.response.text


def test_gateway_unknown_model(client):
    with pytest.raises(anthropic.NotFoundError) as caught:
        client.messages.create(model="claude-sonet-4-6", max_tokens=20, messages=HELLO)
    assert caught.value.type == "not_found_error"
    assert code_of(caught.value) == "model_not_found"
    assert MODEL in caught.value.api_message


def test_gateway_endpoint_not_enabled(client):
    with pytest.raises(anthropic.NotFoundError) as caught:
        client.messages.create(model="gpt-5", max_tokens=20, messages=HELLO)
    assert code_of(caught.value) == "endpoint_not_enabled"
    assert "anthropic_messages" in caught.value.api_message


def test_gateway_key(locked, gateway_key):
    with pytest.raises(anthropic.AuthenticationError) as caught:
        connect(locked.url, key="wrong").messages.create(model=MODEL, max_tokens=20, messages=HELLO)
    assert caught.value.type == "authentication_error"
    assert code_of(caught.value) == "invalid_api_key"
    answer = connect(locked.url, key=gateway_key).messages.create(model=MODEL, max_tokens=20, messages=HELLO)
    assert text_of(answer)


def test_cut_stream_is_no_clean_end(client):
    kinds = []
    stream = client.messages.create(model="sim-claude+cut-3", max_tokens=20, messages=HELLO, stream=True)
    with pytest.raises(httpx2.RemoteProtocolError):
        kinds.extend(event.type for event in stream)
    assert "message_stop" not in kinds


def test_error_inside_the_stream(client):
    request = {"model": "sim-claude+error-midstream", "max_tokens": 20, "messages": HELLO}
    stream = client.messages.create(**request, stream=True)
    with pytest.raises(anthropic.APIStatusError):
        list(stream)


def test_cancel_mid_stream(client, gateway):
    mark = gateway.mark()
    request = {"model": "sim-claude+slow-100+tokens-500", "max_tokens": 500, "messages": HELLO}
    with client.messages.stream(**request) as stream:
        next(iter(stream))
    gateway.wait_for(lambda line: "client_cancelled" in line, since=mark)


def test_async(gateway):
    async def scenario():
        async with connect(gateway.url, anthropic.AsyncAnthropic) as client:
            calls = [client.messages.create(model=MODEL, max_tokens=20, messages=HELLO) for _ in range(8)]
            assert all(text_of(answer) for answer in await asyncio.gather(*calls))
            async with client.messages.stream(model=MODEL, max_tokens=20, messages=HELLO) as stream:
                text = "".join([piece async for piece in stream.text_stream])
            assert text
            assert (await client.messages.count_tokens(model=MODEL, messages=HELLO)).input_tokens > 0
            with pytest.raises(anthropic.RateLimitError):
                await client.messages.create(model="sim-claude+error-429", max_tokens=20, messages=HELLO)

    asyncio.run(scenario())
