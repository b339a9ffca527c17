"""Starts what a telemetry test needs: simulated providers, a gateway, a real collector, and a sink behind it.

    client ─► gateway ─► simulator
                 └ OTLP ─► rotel ─ OTLP ─► Sink

The gateway is the program's debug build; how it and the simulator are started is known to `tests/sdk/python/gateway.py`.
"""

import gzip
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "sdk" / "python"))

from gateway import ADDRESS, PINHOLE, Gateway, Simulator, status_of  # noqa: E402, F401

PATIENCE_S = 30.0
CALLER = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"

PROVIDERS = """
[providers.openai]
type = "openai"
baseurl = "{sim}"
apikey = "sk-provider-planted-0123456789"
models = ["gpt-5"]
compatibility = { openai_chat = true, openai_responses = true }

[providers.anthropic]
type = "anthropic"
baseurl = "{sim}"
apikey = "sk-ant-planted-0123456789"
models = ["claude-sonnet-4-6"]

[providers.gemini]
type = "gemini"
baseurl = "{sim}"
apikey = "gemini-planted-0123456789"
models = ["gemini-2.5-pro"]
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def eventually(what, look):
    """The first truthy value of `look()`; fails when none comes in time."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.05)


class Child:
    """A program whose output goes to a file."""

    def __init__(self, arguments, environment=None):
        self.folder = tempfile.TemporaryDirectory(prefix="pinhole-telemetry-")
        self.log = Path(self.folder.name) / "log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder.name,
                env={**os.environ, **(environment or {})},
            )

    def output(self):
        return self.log.read_text(errors="replace")

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.folder.cleanup()


class Sink:
    """An OTLP receiver over HTTP that keeps what comes, decoded by OpenTelemetry's own types."""

    def __init__(self):
        from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

        kept = self.kept = {"/v1/traces": [], "/v1/metrics": []}
        types = {"/v1/traces": ExportTraceServiceRequest, "/v1/metrics": ExportMetricsServiceRequest}
        self.raw = raw = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                raw.append(body)
                kept[self.path].append(types[self.path].FromString(body))
                self.send_response(200)
                self.send_header("content-type", "application/x-protobuf")
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def spans(self):
        return [
            Span(span, resource.resource)
            for export in list(self.kept["/v1/traces"])
            for resource in export.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def metrics(self):
        return [
            metric
            for export in list(self.kept["/v1/metrics"])
            for resource in export.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        ]

    def wait_for_spans(self, count):
        return eventually(f"{count} spans", lambda: len(found := self.spans()) >= count and found)

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


def plain(value):
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [plain(item) for item in value.array_value.values]
    return getattr(value, kind)


class Span:
    KINDS = {2: "server", 3: "client"}

    def __init__(self, span, resource):
        self.name = span.name
        self.kind = self.KINDS.get(span.kind)
        self.trace = span.trace_id.hex()
        self.id = span.span_id.hex()
        self.parent = span.parent_span_id.hex()
        self.start, self.end = span.start_time_unix_nano, span.end_time_unix_nano
        self.error = span.status.code == 2
        self.attributes = {one.key: plain(one.value) for one in span.attributes}
        self.resource = {one.key: plain(one.value) for one in resource.attributes}


class Collector(Child):
    """rotel, forwarding to a sink."""

    def __init__(self, sink):
        import rotel

        self.grpc, self.http = free_port(), free_port()
        program = str(Path(rotel.__file__).parent / "rotel-agent")
        super().__init__(
            [
                program,
                "start",
                "--otlp-grpc-endpoint",
                f"127.0.0.1:{self.grpc}",
                "--otlp-http-endpoint",
                f"127.0.0.1:{self.http}",
                "--exporter",
                "otlp",
                "--otlp-exporter-endpoint",
                sink.url,
                "--otlp-exporter-protocol",
                "http",
                "--batch-timeout",
                "20ms",
            ]
        )
        for port in (self.grpc, self.http):
            eventually(f"the collector; its output: {self.output()}", lambda: is_open(port))


def is_open(port):
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def post(url, path, body, headers=None):
    """The whole answer's bytes and headers; a stream is read to its end."""
    request = urllib.request.Request(
        url + path, json.dumps(body).encode(), {"content-type": "application/json", **(headers or {})}
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        return answer.read(), answer.headers


def scripted_calls(url, headers=None):
    """One stream in each dialect, one document, embeddings; gives what each was told it used: (input, output)."""
    told = []

    def usage_of(text, *names):
        """The largest number under each name: dialects repeat usage, and the last is the largest."""
        import re

        values = [
            max((int(n) for n in re.findall(rf'"{name}"\s*:\s*(\d+)', text)), default=0) for name in names
        ]
        told.append(tuple(values))

    ask = [{"role": "user", "content": "planted-words of a prompt"}]
    chat = {"model": "gpt-5", "messages": ask, "temperature": 0.5, "max_tokens": 64}
    text, _ = post(url, "/v1/chat/completions", chat, headers)
    usage_of(text.decode(), "prompt_tokens", "completion_tokens")
    stream = {**chat, "stream": True, "stream_options": {"include_usage": True}}
    text, _ = post(url, "/v1/chat/completions", stream, headers)
    usage_of(text.decode(), "prompt_tokens", "completion_tokens")
    responses = {"model": "gpt-5", "input": "planted-words of a prompt", "stream": True}
    text, _ = post(url, "/v1/responses", responses, headers)
    usage_of(text.decode(), "input_tokens", "output_tokens")
    messages = {"model": "claude-sonnet-4-6", "max_tokens": 64, "messages": ask, "stream": True}
    text, _ = post(url, "/v1/messages", messages, headers)
    usage_of(text.decode(), "input_tokens", "output_tokens")
    contents = {"contents": [{"role": "user", "parts": [{"text": "planted-words of a prompt"}]}]}
    text, _ = post(url, "/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse", contents, headers)
    usage_of(text.decode(), "promptTokenCount", "candidatesTokenCount")
    return told
