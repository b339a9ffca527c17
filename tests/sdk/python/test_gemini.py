"""The Google Gen AI SDK on generateContent and its relatives."""

import asyncio
import json

import httpx2
import pytest
from google import genai
from google.genai import errors, types
from samples import PARAMETERS, PNG, PNG_URL, City

MODEL = "gemini-3.5-flash"
TOOL = types.Tool(
    function_declarations=[
        types.FunctionDeclaration(
            name="get_weather", description="Get the current weather", parameters_json_schema=PARAMETERS
        )
    ]
)
NO_AUTOMATIC_CALLS = types.AutomaticFunctionCallingConfig(disable=True)


def connect(url, key="any"):
    return genai.Client(api_key=key, http_options=types.HttpOptions(base_url=url))


@pytest.fixture(scope="module")
def client(gateway):
    return connect(gateway.url)


def with_tools():
    return types.GenerateContentConfig(tools=[TOOL], automatic_function_calling=NO_AUTOMATIC_CALLS)


def test_plain(client):
    answer = client.models.generate_content(
        model=MODEL,
        contents="Say hello.",
        config=types.GenerateContentConfig(system_instruction="Be brief.", temperature=0.7, max_output_tokens=200),
    )
    assert answer.text
    assert answer.candidates[0].finish_reason == types.FinishReason.STOP
    assert answer.usage_metadata.total_token_count > 0
    assert answer.sdk_http_response.headers["x-pinhole-upstream"] == "gemini"


def test_stream(client):
    pieces = list(client.models.generate_content_stream(model=MODEL, contents="Say hello."))
    assert "".join(piece.text or "" for piece in pieces)
    assert pieces[-1].candidates[0].finish_reason == types.FinishReason.STOP
    assert pieces[-1].usage_metadata.candidates_token_count > 0


def test_tools_two_turns(client):
    question = types.Content(role="user", parts=[types.Part(text="What is the weather in Hanoi?")])
    first = client.models.generate_content(model=MODEL, contents=[question], config=with_tools())
    call = first.function_calls[0]
    assert call.name == "get_weather"
    assert isinstance(call.args["city"], str)

    result = types.Part.from_function_response(name=call.name, response={"result": "31 degrees, humid"})
    contents = [question, first.candidates[0].content, types.Content(role="user", parts=[result])]
    second = client.models.generate_content(model=MODEL, contents=contents, config=with_tools())
    assert second.text


@pytest.mark.parametrize("streamed", [False, True])
def test_parallel_tools(client, streamed):
    request = {"model": "sim-gemini+parallel-2", "contents": "Weather in Hanoi and Hue?", "config": with_tools()}
    if streamed:
        pieces = list(client.models.generate_content_stream(**request))
        calls = [call for piece in pieces for call in piece.function_calls or []]
    else:
        calls = client.models.generate_content(**request).function_calls
    assert len(calls) == 2
    assert all(isinstance(call.args["city"], str) for call in calls)


@pytest.mark.parametrize(
    "picture",
    [
        types.Part.from_bytes(data=PNG, mime_type="image/png"),
        types.Part.from_uri(file_uri=PNG_URL, mime_type="image/png"),
    ],
    ids=["base64", "url"],
)
def test_vision(client, picture):
    assert client.models.generate_content(model=MODEL, contents=["What is this?", picture]).text


def test_json_mode(client):
    config = types.GenerateContentConfig(response_mime_type="application/json")
    answer = client.models.generate_content(model=MODEL, contents="List 3 capitals as JSON", config=config)
    assert isinstance(json.loads(answer.text), (dict, list))


def test_structured_output(client):
    config = types.GenerateContentConfig(response_mime_type="application/json", response_schema=City)
    answer = client.models.generate_content(model=MODEL, contents="Describe Hanoi.", config=config)
    assert isinstance(answer.parsed, City)


def test_reasoning(client):
    config = types.GenerateContentConfig(
        thinking_config=types.ThinkingConfig(thinking_budget=1024, include_thoughts=True)
    )
    answer = client.models.generate_content(model="sim-gemini+reasoning", contents="Think.", config=config)
    assert answer.usage_metadata.thoughts_token_count > 0
    assert any(part.thought for part in answer.candidates[0].content.parts)
    assert answer.text


def test_count_tokens(client):
    assert client.models.count_tokens(model=MODEL, contents="Say hello.").total_tokens > 0


def test_embeddings(client):
    answer = client.models.embed_content(model="gemini-embedding-001", contents=["one", "two"])
    assert len(answer.embeddings[0].values) > 1


def test_models(client):
    names = {model.name for model in client.models.list()}
    assert f"models/{MODEL}" in names
    assert client.models.get(model=MODEL).name == f"models/{MODEL}"


def test_upstream_errors(client):
    def call(wish):
        return client.models.generate_content(model=f"sim-gemini+{wish}", contents="x")

    with pytest.raises(errors.ClientError) as caught:
        call("error-429")
    assert (caught.value.code, caught.value.status) == (429, "RESOURCE_EXHAUSTED")
    assert caught.value.response.headers["retry-after"] == "1"
    with pytest.raises(errors.ClientError) as caught:
        call("error-401")
    assert (caught.value.code, caught.value.status) == (401, "UNAUTHENTICATED")
    with pytest.raises(errors.ClientError) as caught:
        call("error-400")
    assert (caught.value.code, caught.value.status) == (400, "INVALID_ARGUMENT")
    with pytest.raises(errors.ServerError) as caught:
        call("html-500")
    assert caught.value.code == 500


def test_gateway_unknown_model(client):
    with pytest.raises(errors.ClientError) as caught:
        client.models.generate_content(model="gemini-3.5-flsh", contents="x")
    assert (caught.value.code, caught.value.status) == (404, "NOT_FOUND")
    assert MODEL in caught.value.message
    assert "model_not_found" in json.dumps(caught.value.details)


def test_gateway_key(locked, gateway_key):
    stranger, friend = connect(locked.url, "wrong"), connect(locked.url, gateway_key)
    with pytest.raises(errors.ClientError) as caught:
        stranger.models.generate_content(model=MODEL, contents="x")
    assert (caught.value.code, caught.value.status) == (401, "UNAUTHENTICATED")
    assert "invalid_api_key" in json.dumps(caught.value.details)
    assert friend.models.generate_content(model=MODEL, contents="x").text


def test_cut_stream_is_no_clean_end(client):
    with pytest.raises(httpx2.RemoteProtocolError):
        list(client.models.generate_content_stream(model="sim-gemini+cut-3", contents="x"))


def test_cancel_mid_stream(client, gateway):
    mark = gateway.mark()
    stream = client.models.generate_content_stream(model="sim-gemini+slow-100+tokens-500", contents="x")
    next(stream)
    stream.close()
    gateway.wait_for(lambda line: "client_cancelled" in line, since=mark)


def test_async(gateway):
    async def scenario():
        owner = connect(gateway.url)  # the asynchronous half ends with it
        client = owner.aio
        calls = [client.models.generate_content(model=MODEL, contents="Say hello.") for _ in range(8)]
        assert all(answer.text for answer in await asyncio.gather(*calls))
        stream = await client.models.generate_content_stream(model=MODEL, contents="Say hello.")
        assert "".join([piece.text or "" async for piece in stream])
        with pytest.raises(errors.ClientError):
            await client.models.generate_content(model="sim-gemini+error-429", contents="x")

    asyncio.run(scenario())
