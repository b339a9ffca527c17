"""The OpenAI SDK on the Responses API."""

import asyncio
import json

import openai
import pytest
from samples import PNG_DATA_URL, PNG_URL, RESPONSES_TOOL, City


@pytest.fixture(scope="module")
def client(gateway):
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="sk-any", max_retries=0) as client:
        yield client


def test_plain(client):
    answer = client.responses.create(model="gpt-5", instructions="Be brief.", input="Say hello.")
    assert answer.status == "completed"
    assert answer.output_text
    assert answer.model == "gpt-5"
    assert answer.usage.total_tokens == answer.usage.input_tokens + answer.usage.output_tokens > 0


def test_stream_events(client):
    stream = client.responses.create(model="gpt-5", input="Say hello.", stream=True)
    assert stream.response.headers["x-cache"] == "MISS"
    events = list(stream)
    kinds = [event.type for event in events]
    assert kinds[0] == "response.created"
    assert kinds[-1] == "response.completed"
    numbers = [event.sequence_number for event in events]
    assert numbers == sorted(set(numbers))
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert text
    assert text == events[-1].response.output_text
    assert events[-1].response.usage.output_tokens > 0


def test_stream_helper(client):
    with client.responses.stream(model="gpt-5", input="Say hello.") as stream:
        for _ in stream:
            pass
        assert stream.get_final_response().output_text


def test_tools_two_turns(client):
    question = [{"role": "user", "content": "What is the weather in Hanoi?"}]
    first = client.responses.create(model="gpt-5", input=question, tools=[RESPONSES_TOOL])
    call = next(item for item in first.output if item.type == "function_call")
    assert call.name == "get_weather"
    assert isinstance(json.loads(call.arguments)["city"], str)

    result = {"type": "function_call_output", "call_id": call.call_id, "output": "31 degrees, humid"}
    second = client.responses.create(model="gpt-5", input=[*question, *first.output, result], tools=[RESPONSES_TOOL])
    assert second.output_text


def test_parallel_tools_streamed(client):
    with client.responses.stream(
        model="sim-gpt+parallel-2", input="Weather in Hanoi and Hue?", tools=[RESPONSES_TOOL]
    ) as stream:
        for _ in stream:
            pass
        final = stream.get_final_response()
    calls = [item for item in final.output if item.type == "function_call"]
    assert len({call.call_id for call in calls}) == 2
    for call in calls:
        assert isinstance(json.loads(call.arguments)["city"], str)


@pytest.mark.parametrize("url", [PNG_DATA_URL, PNG_URL], ids=["base64", "url"])
def test_vision(client, url):
    picture = {"type": "input_image", "image_url": url, "detail": "low"}
    content = [{"type": "input_text", "text": "What is this?"}, picture]
    assert client.responses.create(model="gpt-5", input=[{"role": "user", "content": content}]).output_text


def test_json_mode(client):
    answer = client.responses.create(
        model="gpt-5", input="List 3 capitals as JSON", text={"format": {"type": "json_object"}}
    )
    assert isinstance(json.loads(answer.output_text), dict)


def test_structured_output(client):
    answer = client.responses.parse(model="gpt-5", input="Describe Hanoi.", text_format=City)
    assert isinstance(answer.output_parsed, City)


def test_reasoning(client):
    answer = client.responses.create(
        model="sim-gpt+reasoning", input="Think.", reasoning={"effort": "high", "summary": "auto"}
    )
    assert 0 < answer.usage.output_tokens_details.reasoning_tokens <= answer.usage.output_tokens
    assert answer.output_text


def test_errors(client):
    with pytest.raises(openai.RateLimitError) as caught:
        client.responses.create(model="sim-gpt+error-429", input="x")
    assert caught.value.response.headers["retry-after"] == "1"
    with pytest.raises(openai.AuthenticationError):
        client.responses.create(model="sim-gpt+error-401", input="x", stream=True)
    with pytest.raises(openai.NotFoundError) as caught:
        client.responses.create(model="gpt-5-mni", input="x")
    assert caught.value.code == "model_not_found"
    assert "gpt-5-mini" in caught.value.message


def test_cut_stream_is_no_clean_end(client):
    kinds = []
    with pytest.raises(openai.APIConnectionError):
        kinds.extend(event.type for event in client.responses.create(model="sim-gpt+cut-3", input="x", stream=True))
    assert "response.completed" not in kinds


def test_cancel_mid_stream(client, gateway):
    mark = gateway.mark()
    stream = client.responses.create(model="sim-gpt+slow-100+tokens-500", input="x", stream=True)
    next(iter(stream))
    stream.close()
    gateway.wait_for(lambda line: "client_cancelled" in line, since=mark)


def test_async(gateway):
    async def scenario():
        async with openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key="sk-any", max_retries=0) as client:
            assert (await client.responses.create(model="gpt-5", input="Say hello.")).output_text
            stream = await client.responses.create(model="gpt-5", input="Say hello.", stream=True)
            kinds = [event.type async for event in stream]
            assert kinds[-1] == "response.completed"

    asyncio.run(scenario())
