"""The examples of the three documents Pinhole answers to, as they are written there: only the address differs.

Seed 000: a JSON provider block and a curl without any credential. Seed 001: an OpenAI-compatible `/api/v1` with twelve
model ids. Seed 002: a YAML file, flags, and five curl calls.
"""

import json
import socket
import subprocess

import openai
import pytest

# ------------------------------------------------------------------------------------------------------------ seed 000

SEED_000 = """
{
  "providers": {
    "openai": {
      "baseurl": "{sim}/",
      "apikey": "<your-openai-key>",
      "models": ["gpt-5", "gpt-5-mini", "gpt-4.1"],
      "name": "OpenAI",
      "compatibility": {
        "openai_chat": true,
        "openai_responses": true
      }
    }
  }
}
"""


def curl(url, *arguments):
    """What curl prints; it fails on a transport error only, as by hand."""
    done = subprocess.run(
        ["curl", "--silent", "--show-error", "--max-time", "30", url, *arguments], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


JSON = ["-H", "Content-Type: application/json"]


def test_seed_000(start):
    gateway = start(SEED_000, suffix="json")
    body = '{"model": "gpt-5", "messages": [{"role": "user", "content": "hello"}]}'
    answer = json.loads(curl(f"{gateway.url}/v1/chat/completions", *JSON, "-d", body))
    assert answer["choices"][0]["message"]["content"]
    assert answer["usage"]["total_tokens"] > 0


def test_seed_000_without_the_block_has_chat_only(start):
    config = json.loads(SEED_000)
    del config["providers"]["openai"]["compatibility"]
    gateway = start(json.dumps(config), suffix="json")
    client = openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="-", max_retries=0)
    messages = [{"role": "user", "content": "hello"}]
    assert client.chat.completions.create(model="gpt-5", messages=messages).choices[0].message.content
    with pytest.raises(openai.NotFoundError) as caught:
        client.responses.create(model="gpt-5", input="hello")
    assert caught.value.code == "endpoint_not_enabled"
    assert "openai_responses" in caught.value.message


# ------------------------------------------------------------------------------------------------------------ seed 001

CATALOGUE = [
    "openai/gpt-5.2",
    "openai/gpt-5-mini",
    "openai/o1",
    "anthropic/claude-sonnet-4.6",
    "anthropic/claude-haiku-4.5",
    "google/gemini-3.5-flash",
    "google/gemini-2.5-pro",
    "deepseek/deepseek-chat",
    "deepseek/deepseek-r1",
    "qwen/qwen3.7-plus",
    "x-ai/grok-4.3",
    "qwen/qwen3.7-max",
]

SEED_001 = """
[providers.openrouter]
baseurl = "{sim}"
apikey = "sk-or-upstream"
"""


@pytest.fixture(scope="module")
def hosted(start):
    return start(SEED_001, environment={"PINHOLE_API_KEY": "sg-YOUR-KEY-HERE"})


@pytest.fixture(scope="module")
def client(hosted):
    return openai.OpenAI(api_key="sg-YOUR-KEY-HERE", base_url=f"{hosted.url}/api/v1", max_retries=0)


@pytest.mark.parametrize("model", CATALOGUE)
def test_seed_001_catalogue(client, model):
    resp = client.chat.completions.create(model=model, messages=[{"role": "user", "content": "Hello"}])
    assert resp.choices[0].message.content


def test_seed_001_python(client):
    resp = client.chat.completions.create(
        model="anthropic/claude-haiku-4.5",
        messages=[
            {"role": "system", "content": "You are a SEA travel guide."},
            {"role": "user", "content": "3 must-eat spots in Hanoi old quarter"},
        ],
        temperature=0.7,
        max_tokens=300,
    )
    assert resp.choices[0].message.content
    assert resp.usage.prompt_tokens > 0
    assert resp.usage.completion_tokens > 0


def test_seed_001_streaming(client):
    stream = client.chat.completions.create(
        model="openai/gpt-5-mini",
        messages=[{"role": "user", "content": "Write a haiku about Singapore"}],
        stream=True,
    )
    assert stream.response.headers["X-Cache"] == "MISS"
    assert "".join(chunk.choices[0].delta.content or "" for chunk in stream)


def test_seed_001_tools(client):
    resp = client.chat.completions.create(
        model="openai/gpt-5.2",
        messages=[{"role": "user", "content": "Weather in Jakarta?"}],
        tools=[
            {
                "type": "function",
                "function": {
                    "name": "get_weather",
                    "parameters": {
                        "type": "object",
                        "properties": {"city": {"type": "string"}},
                        "required": ["city"],
                    },
                },
            }
        ],
    )
    tool_call = resp.choices[0].message.tool_calls[0]
    assert tool_call.function.name == "get_weather"
    assert "city" in json.loads(tool_call.function.arguments)


KEY = ["-H", "Authorization: Bearer sg-YOUR-KEY-HERE"]


def test_seed_001_curl(hosted):
    body = """{
"model": "deepseek/deepseek-chat",
"messages": [{"role":"user","content":"Translate to Vietnamese: hello world"}]
}"""
    answer = json.loads(curl(f"{hosted.url}/api/v1/chat/completions", *KEY, *JSON, "-d", body))
    assert answer["choices"][0]["message"]["content"]


def test_seed_001_json_mode(hosted):
    body = """{
"model": "openai/gpt-5-mini",
"messages": [{"role":"user","content":"List 3 SEA capitals as JSON array"}],
"response_format": {"type": "json_object"}
}"""
    answer = json.loads(curl(f"{hosted.url}/api/v1/chat/completions", *KEY, *JSON, "-d", body))
    json.loads(answer["choices"][0]["message"]["content"])


def test_seed_001_streaming_curl(hosted):
    body = '{"model":"openai/gpt-5-mini","stream":true,"messages":[{"role":"user","content":"hi"}]}'
    out = curl(f"{hosted.url}/api/v1/chat/completions", "-N", "-i", *KEY, *JSON, "-d", body)
    head, _, events = out.replace("\r\n", "\n").partition("\n\n")
    assert "x-cache: miss" in head.lower()
    lines = [line for line in events.splitlines() if line.startswith("data: ")]
    assert lines[-1] == "data: [DONE]"
    assert all(json.loads(line.removeprefix("data: ")) for line in lines[:-1])


def test_seed_001_information(hosted):
    assert "200" in curl(f"{hosted.url}/health", "-i").splitlines()[0]
    targets = json.loads(curl(f"{hosted.url}/targets", *KEY))
    assert f"{hosted.url}/v1" in json.dumps(targets)
    assert "200" in curl(f"{hosted.url}/auth/me", "-i", *KEY).splitlines()[0]
    assert "401" in curl(f"{hosted.url}/auth/me", "-i", "-H", "Authorization: Bearer wrong").splitlines()[0]
    assert "200" in curl(f"{hosted.url}/api/v1/models", "-I", *KEY).splitlines()[0]


def test_seed_001_error_table(start):
    config = SEED_001 + 'models = ["sim-*"]\n[errors]\nwrap_502 = true\n'
    gateway = start(config, environment={"PINHOLE_API_KEY": "sg-YOUR-KEY-HERE"})
    client = openai.OpenAI(api_key="sg-YOUR-KEY-HERE", base_url=f"{gateway.url}/api/v1", max_retries=0)
    with pytest.raises(openai.InternalServerError) as caught:
        client.chat.completions.create(model="sim-error-400", messages=[{"role": "user", "content": "x"}])
    assert caught.value.status_code == 502
    assert caught.value.response.headers["x-pinhole-upstream-status"] == "400"


# ------------------------------------------------------------------------------------------------------------ seed 002

SEED_002 = """
# config.yaml
backends:
  openai:
    type: openai
    baseurl: {sim}
default_backend: openai
"""

PROXY_KEY = ["-H", "Authorization: Bearer YOUR_PROXY_KEY"]


def free_port(wanted):
    """The port the document names, unless somebody has it."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            return 0
    return wanted


@pytest.fixture(scope="module")
def proxy(start):
    return start(SEED_002, suffix="yaml", arguments=["--default-backend", "openai"], port=free_port(8000))


def chat(gateway, body, *headers):
    return curl(f"{gateway.url}/v1/chat/completions", "-X", "POST", *JSON, *headers, "-d", body)


def test_seed_002_plain(proxy):
    body = """{
    "model": "gpt-4o",
    "messages": [
      {"role": "user", "content": "Hello, how are you?"}
    ]
  }"""
    assert json.loads(chat(proxy, body, *PROXY_KEY))["choices"][0]["message"]["content"]


def test_seed_002_stream(proxy):
    body = """{
    "model": "gpt-4o",
    "messages": [
      {"role": "user", "content": "Write a short story"}
    ],
    "stream": true
  }"""
    assert chat(proxy, body, *PROXY_KEY).rstrip().endswith("data: [DONE]")


def test_seed_002_tools(proxy):
    body = """{
    "model": "gpt-4o",
    "messages": [
      {"role": "user", "content": "What is the weather in San Francisco?"}
    ],
    "tools": [
      {
        "type": "function",
        "function": {
          "name": "get_weather",
          "description": "Get the current weather",
          "parameters": {
            "type": "object",
            "properties": {
              "location": {"type": "string"}
            }
          }
        }
      }
    ]
  }"""
    message = json.loads(chat(proxy, body, *PROXY_KEY))["choices"][0]["message"]
    assert message["tool_calls"][0]["function"]["name"] == "get_weather"


def test_seed_002_reasoning(proxy):
    body = """{
    "model": "o1-preview",
    "messages": [
      {"role": "user", "content": "Solve this complex problem..."}
    ]
  }"""
    assert json.loads(chat(proxy, body, *PROXY_KEY))["choices"][0]["message"]["content"]


def test_seed_002_selector(proxy):
    body = """{
    "model": "openai:gpt-4o?temperature=0.7",
    "messages": [{"role": "user", "content": "Hello"}]
  }"""
    answer = json.loads(chat(proxy, body))
    assert answer["choices"][0]["message"]["content"]
    assert answer["model"] == "gpt-4o", "the provider saw the name without provider and parameters"


def test_seed_002_force_model(start):
    gateway = start(SEED_002, suffix="yaml", arguments=["--default-backend", "openai", "--force-model", "gpt-4o"])
    body = '{"model": "gpt-4.1", "messages": [{"role": "user", "content": "Hello"}]}'
    out = chat(gateway, body, "-i")
    assert "x-pinhole-model: gpt-4o\n" in out.replace("\r\n", "\n").lower()
