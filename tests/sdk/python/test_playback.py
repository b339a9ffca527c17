"""The official SDKs at a playback of what they asked the gateway before: the same answers, without a provider."""

import json

import anthropic
import openai
import pytest
from gateway import Gateway, Program, Simulator
from google import genai

WORDS = "Tell me how a pinhole camera works."


def openai_calls(url):
    client = openai.OpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0)
    messages = [{"role": "user", "content": WORDS}]
    plain = client.chat.completions.create(model="gpt-5-mini", messages=messages)
    stream = client.chat.completions.create(model="gpt-5-mini", messages=messages, stream=True)
    pieces = [piece.choices[0].delta.content for piece in stream if piece.choices]
    answer = client.responses.create(model="gpt-5", input=WORDS)
    vectors = client.embeddings.create(model="text-embedding-3-small", input=WORDS)
    return [plain.id, plain.choices[0].message.content, pieces, answer.output_text, vectors.data[0].embedding[:8]]


def anthropic_calls(url):
    client = anthropic.Anthropic(base_url=url, api_key="any", max_retries=0)
    asked = {"model": "claude-haiku-4-5", "max_tokens": 64, "messages": [{"role": "user", "content": WORDS}]}
    plain = client.messages.create(**asked)
    with client.messages.stream(**asked) as stream:
        pieces = list(stream.text_stream)
        whole = stream.get_final_message()
    return [plain.id, plain.content[0].text, pieces, whole.id, whole.usage.output_tokens]


def gemini_calls(url):
    client = genai.Client(api_key="any", http_options={"base_url": url})
    plain = client.models.generate_content(model="gemini-2.5-pro", contents=WORDS)
    stream = client.models.generate_content_stream(model="gemini-2.5-pro", contents=WORDS)
    return [plain.text, [piece.text for piece in stream]]


CALLS = {"openai": openai_calls, "anthropic": anthropic_calls, "gemini": gemini_calls}


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """What each SDK got from the gateway, and a playback of it; simulator and gateway are gone by then."""
    sim = Simulator()
    gateway = Gateway(sim, arguments=("--capture", "full"))
    answers = {name: calls(gateway.url) for name, calls in CALLS.items()}
    Program.stop(gateway)
    sim.stop()
    playback = Program(["playback", "--data-dir", gateway.folder.name, "--listen", "127.0.0.1:0", "--speed", "0", "--json"])
    serving = playback.wait_for(lambda line: line.startswith("{") and json.loads(line))
    yield answers, serving
    playback.stop()
    gateway.folder.cleanup()


@pytest.mark.parametrize("name", CALLS)
def test_the_same_answers_without_a_provider(recorded, name):
    answers, serving = recorded
    assert serving["kind"] == "serving" and serving["recordings"] >= 8
    assert CALLS[name](serving["url"]) == answers[name]
    assert CALLS[name](serving["url"]) == answers[name], "the last answer again"


def test_a_miss_is_an_error_the_sdks_know(recorded):
    url = recorded[1]["url"]
    messages = [{"role": "user", "content": "Tell me how a telescope works."}]
    with pytest.raises(openai.NotFoundError, match="the nearest is .* which differs in messages"):
        client = openai.OpenAI(base_url=f"{url}/v1", api_key="any")
        client.chat.completions.create(model="gpt-5-mini", messages=messages)
    with pytest.raises(anthropic.NotFoundError, match="the nearest is .* which differs in messages"):
        client = anthropic.Anthropic(base_url=url, api_key="any")
        client.messages.create(model="claude-haiku-4-5", max_tokens=64, messages=messages)
    with pytest.raises(genai.errors.ClientError, match="no recording answers"):
        client = genai.Client(api_key="any", http_options={"base_url": url})
        client.models.generate_content(model="gemini-2.5-pro", contents="Tell me how a telescope works.")


def test_the_models_that_were_recorded(recorded):
    client = openai.OpenAI(base_url=f"{recorded[1]['url']}/v1", api_key="any")
    assert {"gpt-5", "gpt-5-mini", "claude-haiku-4-5"} <= {model.id for model in client.models.list()}
