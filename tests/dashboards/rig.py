"""Simulated providers, the gateway, a sink for its spans, load, and a Prometheus that scrapes it all.

    with Rig(seconds=25) as rig: …    the load has ended and is scraped; `rig.start` to `rig.end` is its time,
                                      up to `rig.loaded_until` at full force
"""

import http.client
import http.server
import json
import random
import re
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request
from pathlib import Path

from boards import ROOT
from prometheus import Prometheus

sys.path.insert(0, str(ROOT / "tests/sdk/python"))

from gateway import ADDRESS, Gateway, Program, status_of  # noqa: E402  (the path is set above)

WORKERS = 36

# What each simulated model is like. Rare trouble is drawn by lot; what a panel must show for certain is asked for by name
# (`sim-…`, see docs/simulate.md) from the provider `lab`.
SCRIPT = """
seed = 11
real_time = true

[default]
latency = { lognormal = { median = "40ms", sigma = 0.4 } }
first_token = { lognormal = { median = "150ms", sigma = 0.5 } }
cadence = { lognormal = { median = "9ms", sigma = 0.5 } }
input_tokens = { uniform = [300, 4000] }
output_tokens = { uniform = [40, 120] }
cached = 0.3

[models."gpt-5"]
first_token = { lognormal = { median = "420ms", sigma = 0.4 } }
cadence = "11ms"
reasoning = 0.4
cached = 0.5
headers = [["x-ratelimit-limit-tokens", "150000"], ["x-ratelimit-remaining-tokens", "93000"]]

[models."gpt-5-mini"]
first_token = { lognormal = { median = "180ms", sigma = 0.4 } }
cadence = "6ms"
reasoning = 0.2
cached = 0.6
headers = [["x-ratelimit-limit-tokens", "150000"], ["x-ratelimit-remaining-tokens", "93000"]]

[models."claude-sonnet-*"]
first_token = { lognormal = { median = "350ms", sigma = 0.3 } }
cadence = { lognormal = { median = "10ms", sigma = 0.6 } }
cached = 0.7
cache_write = 0.1
headers = [["anthropic-ratelimit-tokens-limit", "400000"], ["anthropic-ratelimit-tokens-remaining", "310000"]]

[models."claude-haiku-*"]
first_token = { lognormal = { median = "160ms", sigma = 0.3 } }
cadence = "5ms"
headers = [["anthropic-ratelimit-tokens-limit", "400000"], ["anthropic-ratelimit-tokens-remaining", "310000"]]

[models."gemini-*"]
first_token = { lognormal = { median = "500ms", sigma = 0.4 } }
cadence = "7ms"
reasoning = 0.5

[models."llama3*"]
first_token = { lognormal = { median = "90ms", sigma = 0.3 } }
cadence = { lognormal = { median = "24ms", sigma = 0.7 } }
cached = 0
usage = "absent"

[[rules]]
model = "gpt-5*"
probability = 0.01
profile.error = { status = 429, retry_after = 1 }

[[rules]]
model = "gemini-*"
probability = 0.03
profile.error = { status = 503 }

[[rules]]
model = "claude-*"
probability = 0.012
profile.fault = { cut_after = 12, cut = "rst" }

[[rules]]
model = "llama3*"
probability = 0.06
profile.fault = { stall_after = 9, stall = "700ms" }
"""

CONFIG = """
[capture]
level = "full"

[timeouts]
idle = "2s"

[providers.openai]
type = "openai"
baseurl = "{sim}"
apikey = "sk-rig-openai"
models = ["gpt-5", "gpt-5-mini", "text-embedding-3-small"]

[providers.anthropic]
type = "anthropic"
baseurl = "{sim}"
apikey = "sk-rig-anthropic"
models = ["claude-sonnet-4-6", "claude-haiku-4-5"]

[providers.gemini]
type = "gemini"
baseurl = "{sim}"
apikey = "rig-gemini"
models = ["gemini-2.5-pro"]

[providers.local]
type = "openai-compatible"
baseurl = "{sim}/v1"
apikey = "any"
models = ["llama3:8b"]

[providers.lab]
type = "openai-compatible"
baseurl = "{sim}/v1"
apikey = "any"
models = ["sim-*"]
"""

WORDS = "the gateway forwards each answer as it comes and keeps a record of what was said and when".split()
CHAT, RESPONSES, MESSAGES = "/v1/chat/completions", "/v1/responses", "/v1/messages"
TOOL = {"name": "read_file", "description": "Reads a file.",
        "parameters": {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}}


def prompt(lot):
    return " ".join(lot.choices(WORDS, k=lot.randint(20, 200)))


def chat(model, lot, **more):
    return CHAT, {"model": model, "messages": [{"role": "user", "content": prompt(lot)}], **more}


def streamed_chat(model, lot, **more):
    return chat(model, lot, stream=True, stream_options={"include_usage": True}, **more)


def messages(model, lot, **more):
    return MESSAGES, {"model": model, "max_tokens": 500, "messages": [{"role": "user", "content": prompt(lot)}], **more}


def gemini(model, lot, verb="streamGenerateContent?alt=sse"):
    return f"/v1beta/models/{model}:{verb}", {"contents": [{"role": "user", "parts": [{"text": prompt(lot)}]}]}


# (weight, request) of ordinary traffic.
TRAFFIC = (
    (7, lambda lot: streamed_chat("gpt-5", lot)),
    (8, lambda lot: streamed_chat("gpt-5-mini", lot)),
    (3, lambda lot: chat("gpt-5-mini", lot)),
    (3, lambda lot: streamed_chat("gpt-5-mini", lot, tools=[{"type": "function", "function": TOOL}])),
    (3, lambda lot: (RESPONSES, {"model": "gpt-5", "input": prompt(lot), "stream": True})),
    (2, lambda lot: ("/v1/embeddings", {"model": "text-embedding-3-small", "input": prompt(lot)})),
    (7, lambda lot: messages("claude-sonnet-4-6", lot, stream=True)),
    (3, lambda lot: messages("claude-haiku-4-5", lot, stream=True)),
    (2, lambda lot: messages("claude-haiku-4-5", lot)),
    (4, lambda lot: gemini("gemini-2.5-pro", lot)),
    (1, lambda lot: gemini("gemini-2.5-pro", lot, "generateContent")),
    (5, lambda lot: streamed_chat("llama3:8b", lot)),
)

# Each is sent once at the start by one of every third worker, so that no panel depends on luck, and now and then after.
CERTAIN = (
    lambda lot: streamed_chat("sim-error-429", lot),
    lambda lot: chat("sim-error-500", lot),
    lambda lot: streamed_chat("sim-error-midstream", lot),
    lambda lot: streamed_chat("sim-rst-3", lot),
    lambda lot: streamed_chat("sim-stall-2", lot),
    lambda lot: streamed_chat("sim-slow-first-300ms", lot),
    lambda lot: chat("no-such-model", lot),
    lambda lot: (CHAT, "this is not JSON"),
)


class Load:
    """Workers that send until told to stop. `sent` counts what the gateway must have counted."""

    def __init__(self, url):
        self.address = urllib.parse.urlsplit(url).netloc
        self.stopping = threading.Event()
        self.lock = threading.Lock()
        self.sent = 0
        self.cancelled = 0
        self.threads = [threading.Thread(target=self.work, args=(at,), daemon=True) for at in range(WORKERS)]
        self.began = time.monotonic()

    def start(self):
        for thread in self.threads:
            thread.start()

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join(30)
            assert not thread.is_alive(), "a request of the load never ended"

    def work(self, number):
        lot = random.Random(number)
        makers = [maker for weight, maker in TRAFFIC for _ in range(weight)]
        if number % 3 == 0:
            self.send(*CERTAIN[number // 3 % len(CERTAIN)](lot))
        while not self.stopping.is_set():
            if lot.random() < 0.01:
                self.send(*lot.choice(CERTAIN)(lot))
            self.send(*lot.choice(makers)(lot), cancel=lot.random() < 0.02)
            # Traffic swells and ebbs, so that lines have a shape; a third of the workers rests at low tide.
            tide = (time.monotonic() - self.began) / 40 % 2
            if tide > 1 and number % 3 == 1:
                self.stopping.wait(lot.uniform(0.5, 2.0))

    def settle(self):
        """Ends well: the last answer of each provider but `lab` is a good one, else it would be taken for down by lot."""
        lot = random.Random(0)
        for maker in (lambda: chat("gpt-5-mini", lot), lambda: messages("claude-haiku-4-5", lot),
                      lambda: gemini("gemini-2.5-pro", lot, "generateContent"), lambda: chat("llama3:8b", lot)):
            assert any(self.send(*maker()) == 200 for _ in range(20)), "a provider of the rig answers nothing"

    def send(self, path, body, cancel=False):
        """One request, its answer read to the end, or left after the first piece; its status when it came in full."""
        connection = http.client.HTTPConnection(self.address, timeout=25)
        text = body if isinstance(body, str) else json.dumps(body)
        try:
            connection.request("POST", path, text, {"content-type": "application/json"})
            with self.lock:
                self.sent += 1
                self.cancelled += cancel
            answer = connection.getresponse()
            if cancel:
                answer.read(1)
                return None
            answer.read()
            return answer.status
        except (OSError, http.client.HTTPException):
            return None  # a broken answer is what was asked for; the gateway's own count tells the rest
        finally:
            connection.close()


class SpanSink:
    """An OTLP/HTTP endpoint that is always content: only so does the gateway sample, and exemplars have something to name."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            self.rfile.read(int(self.headers.get("content-length", 0)))
            self.send_response(200)
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    def __init__(self):
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self.Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


class Simulator(Program):
    def __init__(self, folder):
        script = folder / "script.toml"
        script.write_text(SCRIPT)
        super().__init__(["simulate", "--listen", "127.0.0.1:0", "--script", str(script)])
        self.url = self.wait_for(ADDRESS.search).group()


class Rig:
    def __init__(self, seconds):
        self.seconds = seconds

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="pinhole-rig-")
        self.running = []
        try:
            self.run()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for program in reversed(self.running):
            program.stop()
        self.folder.cleanup()

    def add(self, program):
        self.running.append(program)
        return program

    def run(self):
        self.spans = self.add(SpanSink())
        simulator = self.add(Simulator(Path(self.folder.name)))
        self.gateway = self.add(Gateway(simulator, CONFIG, environment={
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.spans.url, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_TRACES_SAMPLER": "always_on", "OTEL_BSP_SCHEDULE_DELAY": "500"}))
        self.ops = self.gateway.wait_for(lambda line: next(
            (url for url in ADDRESS.findall(line)
             if url not in (simulator.url, self.gateway.url, self.spans.url) and status_of(f"{url}/metrics") == 200), None))
        self.prometheus = self.add(Prometheus(self.ops.removeprefix("http://")))
        self.prometheus.wait_until(lambda: self.prometheus.at("up == 1", time.time()), "scrape the gateway")
        self.load = Load(self.gateway.url)
        self.start = time.time()
        self.load.start()
        time.sleep(self.seconds / 4)
        self.replay()
        time.sleep(self.seconds * 3 / 4)
        self.loaded_until = time.time()
        self.load.stop()
        self.load.settle()
        # The last exchange is counted, scraped and seen by the rules before anything is asked.
        counted = "sum(pinhole_requests_total)"
        self.prometheus.wait_until(lambda: self.count(counted) >= self.load.sent, f"see all {self.load.sent} requests")
        self.end = time.time()

    def replay(self):
        """A run on the gateway's own store, of a good target and of one that always fails."""
        plan = {"from": "model:gpt-5-mini status:200 stream:true", "limit": 60, "to": ["openai/gpt-5-mini", "lab/sim-error-500"],
                "pace": "poisson 10/s", "yes": True}
        request = urllib.request.Request(f"{self.ops}/api/replays", json.dumps(plan).encode(), method="POST")
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert answer.status == 202
            self.run_id = json.loads(answer.read())["run_id"]

    def count(self, query):
        found = self.prometheus.at(query, time.time())
        return found[0][1] if found else 0

    def exposition(self, accept):
        request = urllib.request.Request(f"{self.ops}/metrics", headers={"accept": accept})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.headers["content-type"], answer.read().decode()
