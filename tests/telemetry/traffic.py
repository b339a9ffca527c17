"""Known traffic: a script for the simulated providers, some two hundred calls in all dialects, and the script's own sums.

What a call cost is read from the bytes that the client received, by other code than the gateway's. Where the gateway asks
for usage and hides it, and where an answer is fixed, the number is the one in the simulator's script.
"""

import gzip
import http.client
import json
import urllib.parse
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

KINDS = ("input", "output", "cache_read", "cache_write", "reasoning")
KEYS = {"reader": "sk-pinhole-reader-0123456789abcdef", "writer": "sk-pinhole-writer-0123456789abcdef"}
AGENTS = {"claude-cli/2.1 (external)": "claude-code", "codex_cli_rs/0.98": "codex", "curl/8.14": "curl"}
DIALECTS = {
    "chat": "openai_chat",
    "completions": "openai_chat",
    "responses": "openai_responses",
    "embeddings": "openai_embeddings",
    "messages": "anthropic",
    "gemini": "gemini",
}
# The script says so, and the client cannot see it where the gateway hides the chunk with the usage.
HIDDEN = {"input": 400, "output": 24, "cache_read": 100, "reasoning": 6}
LATER = {"input": 3_000, "output": 700, "cache_read": 1_000, "reasoning": 200}
PICTURE = {"input": 50, "output": 4_160}

CONFIG = """
[log]
format = "json"

[timeouts]
idle = "2s"

[streams]
include_usage = "INCLUDE"

[[keys]]
label = "reader"
secret = "READER"

[[keys]]
label = "writer"
secret = "WRITER"

[providers.openai]
type = "openai"
baseurl = "{sim}"
apikey = "sk-planted"
models = [
    "gpt-4o-mini", "gpt-5", "gpt-5-mini", "gpt-4.1", "gpt-4.1-mini", "gpt-4.1-nano", "o4-mini", "gpt-4o",
    "gpt-3.5-turbo-instruct", "text-embedding-3-small",
]

[providers.anthropic]
type = "anthropic"
baseurl = "{sim}"
apikey = "sk-planted"
models = ["claude-sonnet-4-6", "claude-haiku-4-5", "claude-opus-4-5"]

[providers.gemini]
type = "gemini"
baseurl = "{sim}"
apikey = "sk-planted"
models = ["gemini-2.5-pro", "gemini-2.5-flash", "gemini-2.0-flash", "gemini-embedding-001"]

[providers.house]
baseurl = "{sim}"
apikey = "sk-planted"
cost_basis = "none"
models = ["house-plain", "house-*"]
compatibility = { openai_chat = true, openai_responses = true }
"""


def config(include):
    text = CONFIG.replace("INCLUDE", include)
    return text.replace("READER", KEYS["reader"]).replace("WRITER", KEYS["writer"])


def completion(usage):
    message = {"role": "assistant", "content": "as the script has it"}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    head = '"id":"chatcmpl-1","object":"chat.completion","model":"house"'
    return "{%s,%s,%s}" % (head, f'"choices":[{json.dumps(choice)}]', f'"usage":{usage}')


# Numbers that no provider should send: what of them counts, and what the gateway calls the rest.
HOSTILE = {
    "negative": ('{"prompt_tokens":-5,"completion_tokens":7}', {"output": 7}),
    "not_a_number": ('{"prompt_tokens":{"a":[1]},"completion_tokens":11}', {"output": 11}),
    "too_large": ('{"prompt_tokens":9223372036854775808,"completion_tokens":13}', {"output": 13}),
    "fraction": ('{"prompt_tokens":17,"completion_tokens":1.5}', {"input": 17}),
    "part_over_whole": (
        '{"prompt_tokens":20,"completion_tokens":9,"prompt_tokens_details":{"cached_tokens":50}}',
        {"input": 20, "output": 9, "cache_read": 20},
    ),
    "not_an_object": ("[1,2]", None),
}


def script():
    """The simulator's script."""
    rule = "[[rules]]\npath = {path}\n{more}profile.error = {{ status = 200, body = {body} }}\n"
    later = {"id": "resp_later", "object": "response", "background": True, "status": "queued", "output": []}
    usage = {
        "input_tokens": LATER["input"],
        "input_tokens_details": {"cached_tokens": LATER["cache_read"]},
        "output_tokens": LATER["output"],
        "output_tokens_details": {"reasoning_tokens": LATER["reasoning"]},
        "total_tokens": LATER["input"] + LATER["output"],
    }
    done = {**later, "status": "completed", "model": "gpt-5-mini", "usage": usage}
    picture = {"created": 1, "data": [], "usage": {"input_tokens": PICTURE["input"], "output_tokens": PICTURE["output"]}}
    text = json.dumps
    lines = [SCRIPT]
    for name, (numbers, _) in HOSTILE.items():
        lines.append(f'[models."house-{name}"]\nerror = {{ status = 200, body = {text(completion(numbers))} }}\n')
    lines.append(rule.format(path='"**/responses"', more='model = "gpt-5-mini"\n', body=text(json.dumps(later))))
    lines.append(rule.format(path='"**/responses/resp_later"', more="", body=text(json.dumps(done))))
    lines.append(rule.format(path='"**/responses/resp_later"', more="nth = [1]\n", body=text(json.dumps(later))))
    lines.append(rule.format(path='"**/images/generations"', more="", body=text(json.dumps(picture))))
    return "\n".join(lines)


SCRIPT = f"""
seed = 11

[default]
input_tokens = {{ uniform = [100, 9000] }}
output_tokens = {{ uniform = [12, 60] }}

[models."gpt-4o-mini"]
cached = 0.25

[models."gpt-5"]
cached = 0.5
reasoning = 0.4

[models."gpt-4.1"]
input_tokens = {HIDDEN["input"]}
output_tokens = {HIDDEN["output"]}
cached = 0.25
reasoning = 0.25

[models."gpt-4.1-mini"]
usage = "absent"

[models."gpt-4.1-nano"]
fault = {{ cut_after = 6 }}

[models."o4-mini"]
fault = {{ stall_after = 6 }}
reasoning = 0.0

[models."gpt-4o"]
error = {{ status = 429, retry_after = 1 }}

[models."claude-sonnet-4-6"]
cached = 0.5
cache_write = 0.25
gzip = true

[models."claude-haiku-4-5"]
cached = 0.25
fault = {{ cut_after = 9 }}

[models."claude-opus-4-5"]
cache_write = 0.5
fault = {{ stall_after = 9 }}

[models."gemini-2.5-pro"]
input_tokens = {{ uniform = [150000, 250000] }}
cached = 0.25
reasoning = 0.5

[models."gemini-2.5-flash"]
usage = "cumulative"

[models."gemini-2.0-flash"]
cached = 0.5
fault = {{ cut_after = 5 }}

[models."house-500"]
error = {{ status = 500 }}

[models."house-growing"]
usage = "cumulative"
reasoning = 0.5

[models."house-late"]
usage = "late"

[models."house-broken"]
fault = {{ error_after = 5 }}
"""


@dataclass
class Call:
    """One request, and what is expected of it."""

    api: str
    model: str
    provider: str | None
    stream: bool = False
    label: str | None = None
    # Chat streams: `stream_options.include_usage`.
    asks: bool = True
    # `end`: reads it all; `terminal`: leaves at the last event; a number: leaves after so many events.
    leaves: object = "end"
    outcome: str = "complete"
    status: int | None = 200
    method: str = "POST"
    path: str | None = None
    body: bytes | None = None
    # Instead of what the answer says: the script's own numbers.
    known: dict | None = None
    oddity: str | None = None
    # Tokens are counted by the model's words at all: not so errors, other endpoints, work begun and not over.
    billed: bool = True
    spanned: bool = True
    session: str | None = None
    tag: str | None = None
    key: str = "reader"
    agent: str = "curl/8.14"
    # Filled by `send`.
    id: str = ""
    coding: str | None = None
    cost_header: str | None = None
    told: dict | None = None
    ended: bool = False
    bytes: bytes = b""
    seen: list = field(default_factory=list)

    @property
    def pair(self):
        return (self.provider or "none", self.label or self.model if self.provider else "other")

    @property
    def missing(self):
        return self.billed and self.ended and self.told is None

    @property
    def partial(self):
        return self.billed and not self.ended

    @property
    def is_estimated(self):
        return self.missing or self.partial


def plan(include):
    """All calls; those of one list are sent one after the other, the lists side by side."""
    calls = []

    def add(count, *arguments, **more):
        calls.extend([Call(*arguments, **more)] for _ in range(count))

    asked = {"asks": False}
    for stream in (False, True):
        add(10, "chat", "gpt-4o-mini", "openai", stream)
        add(8, "chat", "gpt-5", "openai", stream)
        add(8, "responses", "gpt-4o-mini", "openai", stream)
        add(8, "responses", "gpt-5", "openai", stream)
        add(10, "messages", "claude-sonnet-4-6", "anthropic", stream)
        add(8, "gemini", "gemini-2.5-pro", "gemini", stream)
        add(6, "gemini", "gemini-2.5-flash", "gemini", stream)
        add(4, "completions", "gpt-3.5-turbo-instruct", "openai", stream)
        add(6, "chat", "house-plain", "house", stream)
        add(3, "chat", "house-growing", "house", stream, label="house-*")
        add(3, "chat", "house-late", "house", stream, label="house-*")
        add(3, "chat", "gpt-4.1-mini", "openai", stream)
        # Cut: in the middle of the document, or after some events.
        add(3, "chat", "gpt-4.1-nano", "openai", stream, outcome="upstream_reset")
        add(3, "messages", "claude-haiku-4-5", "anthropic", stream, outcome="upstream_reset")
        add(3, "gemini", "gemini-2.0-flash", "gemini", stream, outcome="upstream_reset")
    add(4, "gemini", "gemini-2.5-pro", "gemini", True, path="/v1beta/models/gemini-2.5-pro:streamGenerateContent")
    add(6, "embeddings", "text-embedding-3-small", "openai")
    add(3, "gemini", "gemini-embedding-001", "gemini", path="/v1beta/models/gemini-embedding-001:embedContent")

    # The client did not ask for usage: the gateway does in its place, or counts.
    told = {"known": HIDDEN} if include == "when_missing" else {}
    add(6, "chat", "gpt-4.1", "openai", True, **asked, **told)
    add(3, "chat", "gpt-4.1", "openai", True, **asked, **told, leaves="terminal")

    # Gone with the last event, which is a complete answer; and gone in the middle.
    add(4, "chat", "gpt-4o-mini", "openai", True, leaves="terminal")
    add(4, "responses", "gpt-4o-mini", "openai", True, leaves="terminal")
    add(4, "messages", "claude-sonnet-4-6", "anthropic", True, leaves="terminal")
    add(4, "chat", "o4-mini", "openai", True, leaves=6, outcome="client_cancelled")
    add(4, "messages", "claude-opus-4-5", "anthropic", True, leaves=9, outcome="client_cancelled")
    # Silent for too long.
    add(2, "chat", "o4-mini", "openai", True, outcome="timeout")
    add(2, "messages", "claude-opus-4-5", "anthropic", True, outcome="timeout")
    # An error in the middle of a stream was handed on whole; the provider failed all the same, and said so.
    add(2, "chat", "house-broken", "house", True, label="house-*", outcome="upstream_error")

    nothing = {"billed": False}
    add(4, "chat", "gpt-4o", "openai", status=429, outcome="upstream_error", **nothing)
    add(2, "chat", "gpt-4o", "openai", True, status=429, outcome="upstream_error", **nothing)
    add(4, "chat", "house-500", "house", status=500, label="house-*", outcome="upstream_error", **nothing)
    refused = {"status": 404, "outcome": "rejected", "spanned": False, **nothing}
    add(3, "chat", "no-such-model", None, **refused)
    add(2, "messages", "no-such-model", None, True, **refused)
    add(3, "chat", "bad", None, body=b'{"model": "gpt-5", ', **{**refused, "status": 400})
    count_tokens = {"path": "/v1/messages/count_tokens", "spanned": False, **nothing}
    add(3, "messages", "claude-sonnet-4-6", "anthropic", **count_tokens)

    for name, (_, known) in HOSTILE.items():
        oddity = {"label": "house-*", "oddity": name, "known": known}
        add(2, "chat", f"house-{name}", "house", **oddity)
    picture = {"path": "/v1/images/generations", "known": PICTURE}
    add(2, "images", "gpt-4o-mini", "openai", **picture)

    # Begun in the background: counted when it is fetched for the first time, and then never again.
    later = {"method": "GET", "path": "/v1/responses/resp_later", **nothing}
    fetched = {"api": "later", "provider": "openai", **later}
    unknown = {"model": "*", "label": "other", "spanned": False}
    calls.append(
        [
            Call("responses", "gpt-5-mini", "openai", **nothing),
            Call(**unknown, **fetched),
            Call(model="gpt-5-mini", **{**fetched, "billed": True}, known=LATER),
            Call(**unknown, **fetched),
            Call(**unknown, **fetched),
        ]
    )
    agents = list(AGENTS)
    for number, call in enumerate(call for job in calls for call in job):
        call.session = f"session-{number % 5}" if number % 6 else None
        call.tag = ("search", "chat", None)[number % 3]
        call.key = ("reader", "writer")[number % 2]
        call.agent = agents[number % len(agents)]
    return calls


def body_of(call):
    words = f"Known traffic, {call.model}: what does the light do in a small opening?"
    ask = [{"role": "user", "content": words}]
    if call.api == "chat":
        options = {"stream_options": {"include_usage": True}} if call.stream and call.asks else {}
        return {"model": call.model, "messages": ask, "stream": call.stream, **options}
    if call.api == "completions":
        options = {"stream_options": {"include_usage": True}} if call.stream else {}
        return {"model": call.model, "prompt": words, "stream": call.stream, **options}
    if call.api == "responses":
        background = {"background": True} if call.model == "gpt-5-mini" else {}
        return {"model": call.model, "input": words, "stream": call.stream, **background}
    if call.api == "messages":
        return {"model": call.model, "max_tokens": 4_096, "messages": ask, "stream": call.stream}
    if call.api == "gemini":
        parts = {"parts": [{"text": words}]}
        return {"content": parts} if "embed" in (call.path or "") else {"contents": [{"role": "user", **parts}]}
    if call.api == "images":
        return {"model": call.model, "prompt": words}
    return {"model": call.model, "input": words}


def path_of(call):
    if call.path:
        return call.path
    if call.api == "gemini":
        verb = "streamGenerateContent?alt=sse" if call.stream else "generateContent"
        return f"/v1beta/models/{call.model}:{verb}"
    return "/v1/" + {"chat": "chat/completions"}.get(call.api, call.api)


TERMINAL = {"chat": b"data: [DONE]\n\n", "responses": b"event: response.completed", "messages": b"event: message_stop"}


def send(url, call):
    """Sends one call and keeps what came; a break is kept as such."""
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(url).netloc, timeout=20)
    headers = {
        "content-type": "application/json",
        "authorization": f"Bearer {KEYS[call.key]}",
        "user-agent": call.agent,
        "accept-encoding": "gzip" if call.leaves == "end" else "identity",
    }
    if call.session:
        headers["x-session-id"] = call.session
    if call.tag:
        headers["x-pinhole-tag"] = f"team={call.tag}"
    body = None if call.method == "GET" else call.body or json.dumps(body_of(call)).encode()
    connection.request(call.method, path_of(call), body, headers)
    answer = connection.getresponse()
    call.id = answer.headers["x-pinhole-id"]
    call.cost_header = answer.headers["x-pinhole-cost"]
    assert answer.status == call.status, f"{call} was answered {answer.status}: {answer.read()[:400]}"
    read(answer, call)
    # The socket, and not the answer alone: the gateway is to see that the client has gone.
    connection.close()
    answer.close()
    call.coding = answer.headers["content-encoding"]
    if call.coding == "gzip":
        call.bytes = gzip.decompress(call.bytes)
    call.seen = documents(call)
    call.ended = has_ended(call)
    call.told = call.known if call.known or call.oddity else usage_of(call) if call.billed else None


def read(answer, call):
    try:
        while piece := answer.read1(65_536):
            call.bytes += piece
            if call.leaves == "terminal":
                at = call.bytes.find(TERMINAL[call.api])
                if at >= 0 and b"\n\n" in call.bytes[at:]:
                    return
            elif call.leaves != "end" and call.bytes.count(b"\n\n") >= call.leaves:
                return
    except (http.client.HTTPException, OSError) as broken:
        assert call.outcome in ("upstream_reset", "timeout"), f"{call} broke: {broken!r}"


def documents(call):
    """The JSON documents of an answer: one, those of its events, or those of its array."""
    text = call.bytes.decode(errors="replace")
    if "data: " in text:
        lines = [line[6:] for line in text.split("\n") if line.startswith("data: ")]
        return [json.loads(line) for line in lines if line != "[DONE]"]
    try:
        whole = json.loads(text)
    except json.JSONDecodeError:
        return []
    return whole if isinstance(whole, list) else [whole]


def has_ended(call):
    if not call.stream:
        return bool(call.seen)
    if call.api in ("chat", "completions"):
        return b"data: [DONE]" in call.bytes
    if call.api == "responses":
        return any(event.get("type") in ("response.completed", "response.incomplete") for event in call.seen)
    if call.api == "messages":
        return any(event.get("type") == "message_stop" for event in call.seen)
    return any("finishReason" in one for event in call.seen for one in event.get("candidates", []))


def usage_of(call):
    """What the provider told, in one meaning; none when it told nothing. Of several tellings the last counts."""
    told = {}
    for document in call.seen:
        inner = document.get("response") or document.get("message") or document
        told.update(inner.get("usage") or document.get("usage") or inner.get("usageMetadata") or {})
    if not told:
        return None

    def of(name, details=None):
        return (told.get(details) or {} if details else told).get(name) or 0

    if call.api == "gemini":
        thoughts = of("thoughtsTokenCount")
        usage = {
            "input": of("promptTokenCount"),
            "output": of("candidatesTokenCount") + thoughts,
            "cache_read": of("cachedContentTokenCount"),
            "reasoning": thoughts,
        }
    elif call.api == "messages":
        cached, written = of("cache_read_input_tokens"), of("cache_creation_input_tokens")
        usage = {
            "input": of("input_tokens") + cached + written,
            "output": of("output_tokens"),
            "cache_read": cached,
            "cache_write": written,
        }
    elif call.api == "responses":
        usage = {
            "input": of("input_tokens"),
            "output": of("output_tokens"),
            "cache_read": of("cached_tokens", "input_tokens_details"),
            "reasoning": of("reasoning_tokens", "output_tokens_details"),
        }
    else:
        usage = {
            "input": of("prompt_tokens"),
            "output": of("completion_tokens"),
            "cache_read": of("cached_tokens", "prompt_tokens_details"),
            "reasoning": of("reasoning_tokens", "completion_tokens_details"),
        }
    return usage


def run(url, include):
    """Sends everything, ten side by side; gives the calls with what came of them."""
    jobs = plan(include)

    def one_by_one(job):
        for call in job:
            send(url, call)

    with ThreadPoolExecutor(10) as pool:
        list(pool.map(one_by_one, jobs))
    return [call for job in jobs for call in job]


def tokens(usage, group):
    """One answer's tokens as a sum: group and kind → number, zeros left out."""
    return Counter({(*group, kind): usage[kind] for kind in KINDS if (usage or {}).get(kind)})
