"""A simulated provider, and a streaming client of our own that shares no code with the gateway: sockets, a monotonic clock, and
the formulas of docs/replay.md written a second time.
"""

import asyncio
import contextlib
import json
import os
import re
import subprocess
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PINHOLE = Path(os.environ.get("PINHOLE_BIN", ROOT / "target/debug/pinhole"))
PATH = "/v1/chat/completions"
ADDRESS = re.compile(r"http://127\.0\.0\.1:(\d+)")


@contextlib.contextmanager
def first():
    """Ahead of other programs, with all that is started here, where the system allows it (root): yields whether it does."""
    try:
        before = os.sched_getscheduler(0), os.sched_getparam(0)
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    except (AttributeError, PermissionError):
        yield False
        return
    try:
        yield True
    finally:
        os.sched_setscheduler(0, *before)


class Program:
    """A `pinhole` that runs until the block ends; its first line with an address tells the port."""

    def __init__(self, *arguments):
        command = [PINHOLE, *arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        said = []
        for line in self.process.stdout:
            said.append(line)
            if found := ADDRESS.search(line):
                self.port = int(found[1])
                return
        raise RuntimeError(f"{command} ended: {''.join(said)}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.communicate(timeout=20)


def simulator(folder, script):
    path = Path(folder) / f"script-{len(list(Path(folder).iterdir()))}.toml"
    path.write_text(script)
    return Program("simulate", "--listen", "127.0.0.1:0", "--script", path)


def configuration(folder, port, more=""):
    """A configuration with one provider, `sim`, at this port."""
    path = Path(folder) / f"pinhole-{port}.toml"
    path.write_text(
        f'[server]\nlisten = "127.0.0.1:0"\nops_listen = "127.0.0.1:0"\n[discovery]\nenabled = false\n{more}\n'
        f'[providers.sim]\ntype = "openai-compatible"\nbaseurl = "http://127.0.0.1:{port}/v1"\napikey = "any"\nmodels = ["m"]\n'
    )
    return path


def question(n, padding=0):
    """The body of the nth request, of about so many bytes more."""
    said = f"question {n}" + " and so on" * (padding // 10)
    body = {"model": "m", "stream": True, "stream_options": {"include_usage": True}}
    return json.dumps(body | {"messages": [{"role": "user", "content": said}]})


def har(path, bodies):
    """A file that `pinhole replay --from` reads: these requests, whose answers nobody recorded."""
    zero = datetime(2026, 1, 1, tzinfo=UTC)
    common = {"httpVersion": "HTTP/1.1", "cookies": [], "headersSize": -1}

    def entry(n, body):
        sent = {"mimeType": "application/json", "text": body}
        headers = [{"name": "content-type", "value": "application/json"}]
        request = {"method": "POST", "url": f"http://recorded{PATH}", "headers": headers, "queryString": []}
        content = {"size": 0, "mimeType": "text/event-stream", "text": ""}
        response = {"status": 200, "statusText": "OK", "headers": [], "redirectURL": "", "content": content, "bodySize": 0}
        return {
            "startedDateTime": (zero + timedelta(seconds=n)).isoformat(),
            "time": 100,
            "request": request | common | {"postData": sent, "bodySize": len(body)},
            "response": response | common,
            "cache": {},
            "timings": {"send": 0, "wait": 100, "receive": 0},
        }

    entries = [entry(n, body) for n, body in enumerate(bodies)]
    log = {"version": "1.2", "creator": {"name": "tests", "version": "1"}, "entries": entries}
    Path(path).write_text(json.dumps({"log": log}))
    return path


@dataclass
class Answer:
    """Seconds of the monotonic clock."""

    intended: float
    sent: float = 0.0
    contents: list = field(default_factory=list)
    tokens: int | None = None
    ended: float = 0.0

    def values(self):
        first, last = self.contents[0], self.contents[-1]
        gaps = [later - earlier for earlier, later in zip(self.contents, self.contents[1:])]
        return {
            "service_ttft": first - self.sent,
            "service_e2e": self.ended - self.sent,
            "tpot": (last - first) / (self.tokens - 1),
            "gap_p50": quantile(gaps, 0.5),
            "gap_p99": quantile(gaps, 0.99),
            "gap_max": max(gaps),
        }


def quantile(values, q):
    """Interpolated linearly between the two nearest."""
    ordered = sorted(values)
    at = q * (len(ordered) - 1)
    below = int(at)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (at - below) * (ordered[above] - ordered[below])


class Connections:
    """Kept connections to one server; one request at a time on each."""

    def __init__(self, port, headers=""):
        self.port, self.headers, self.free = port, headers, []

    async def ask(self, body, intended):
        answer = Answer(intended)
        head = (
            f"POST {PATH} HTTP/1.1\r\nhost: 127.0.0.1:{self.port}\r\ncontent-type: application/json\r\n"
            f"{self.headers}content-length: {len(body.encode())}\r\n\r\n"
        )
        reader, writer = self.free.pop() if self.free else await asyncio.open_connection("127.0.0.1", self.port)
        answer.sent = time.monotonic()
        writer.write((head + body).encode())
        status = await reader.readline()
        if b" 200 " not in status:
            raise RuntimeError(f"status {status!r}")
        while (line := await reader.readline()) not in (b"\r\n", b""):
            if line.lower().startswith(b"transfer-encoding") and b"chunked" not in line:
                raise RuntimeError(f"not in chunks: {line!r}")
        rest = b""
        while size := int(await reader.readline(), 16):
            rest += await reader.readexactly(size)
            came = time.monotonic()
            await reader.readexactly(2)
            *events, rest = rest.split(b"\n\n")
            for event in events:
                self.note(answer, event, came)
        await reader.readexactly(2)
        answer.ended = time.monotonic()
        self.free.append((reader, writer))
        return answer

    @staticmethod
    def note(answer, event, came):
        data = event.removeprefix(b"data: ")
        if data == b"[DONE]":
            return
        told = json.loads(data)
        if any(choice["delta"].get("content") for choice in told["choices"]):
            answer.contents.append(came)
        if told.get("usage"):
            answer.tokens = told["usage"]["completion_tokens"]

    def close(self):
        for _, writer in self.free:
            writer.close()


async def load(port, bodies, rate, headers=""):
    """Every request at its own instant from one zero, whatever was answered."""
    connections = Connections(port, headers)
    zero = time.monotonic() + 0.05

    async def one(n, body):
        intended = zero + n / rate
        await asyncio.sleep(intended - time.monotonic())
        return await connections.ask(body, intended)

    try:
        return await asyncio.gather(*(one(n, body) for n, body in enumerate(bodies)))
    finally:
        connections.close()
