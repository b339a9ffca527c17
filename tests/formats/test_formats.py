"""Files that other programs wrote just now go into a store, and what comes out is read by other programs."""

import json
import os
import subprocess
import zlib
from pathlib import Path

import cbor2
import pytest
from haralyzer import HarParser
from mitmproxy import http
from mitmproxy import io as flows
from mitmproxy.test import tflow

ROOT = Path(__file__).resolve().parents[2]
PINHOLE = os.environ.get("PINHOLE_BIN") or str(ROOT / "target/debug/pinhole")
BEGAN = 1_763_625_600.25

ASK = '{"model":"gpt-5","stream":true,"messages":[{"role":"user","content":"café ☕"}]}'.encode()
STREAM = (
    b'data: {"id":"c","model":"gpt-5","choices":[{"index":0,"delta":{"content":"Hi"}}]}\n\n'
    b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],'
    b'"usage":{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11}}\n\ndata: [DONE]\n\n'
)
PLAIN = b'{"model":"gpt-5","messages":[{"role":"user","content":"again"}]}'
ANSWER = (
    b'{"id":"d","model":"gpt-5","choices":[{"index":0,"message":{"role":"assistant","content":"Yes"},'
    b'"finish_reason":"stop"}],"usage":{"prompt_tokens":4,"completion_tokens":1,"total_tokens":5}}'
)
URL = "https://api.openai.com/v1/chat/completions"


def captures(folder, *arguments, code=0):
    command = [PINHOLE, "captures", *arguments, "--data-dir", str(folder / "data")]
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PINHOLE_", "OTEL_"))}
    ran = subprocess.run(command, capture_output=True, cwd=folder, env=clean | {"HOME": str(folder)}, timeout=60)
    assert ran.returncode == code, ran.stderr.decode()
    return ran.stdout, ran.stderr.decode()


def exchanges(folder):
    lines, _ = captures(folder, "export", "--as", "ndjson")
    return [json.loads(line) for line in lines.splitlines()]


def flow(n, body, answer, kind, coding=None):
    request = http.Request.make("POST", URL, body, {"content-type": "application/json", "authorization": "Bearer sk-judge-0001"})
    made = tflow.tflow(req=request, resp=True)
    began = BEGAN + n
    made.request.timestamp_start, made.request.timestamp_end = began, began + 0.001
    made.response = http.Response.make(200, b"", {"content-type": kind})
    if coding:
        made.response.headers["content-encoding"] = coding
    made.response.content = answer  # Packed by mitmproxy, where a coding is named.
    made.response.timestamp_start, made.response.timestamp_end = began + 0.4, began + 1.2
    return made


@pytest.fixture
def store(tmp_path):
    """A store with a stream and a packed answer, as mitmproxy wrote them."""
    with open(tmp_path / "flows", "wb") as file:
        writer = flows.FlowWriter(file)
        writer.add(flow(0, ASK, STREAM, "text/event-stream"))
        writer.add(tflow.ttcpflow())
        writer.add(flow(2, PLAIN, ANSWER, "application/json", "gzip"))
    _, told = captures(tmp_path, "import", "flows")
    assert "2 imported" in told and "1 of other protocols" in told
    return tmp_path


def test_flows_of_mitmproxy_come_in(store):
    stream, packed = exchanges(store)
    assert stream["request"]["body"]["text"].encode() == ASK
    assert stream["response"]["body"]["state"] == "same"
    assert stream["attempts"][0]["response"]["body"]["text"].encode() == STREAM
    assert packed["attempts"][0]["response"]["body"]["text"].encode() == ANSWER
    assert packed["attempts"][0]["response"]["body"]["coding"] == "gzip"
    assert [(one["input_tokens"], one["output_tokens"]) for one in (stream, packed)] == [(9, 2), (4, 1)]
    assert stream["provider"] == "openai" and stream["duration_us"] == 1_200_000
    assert "sk-judge" not in json.dumps([stream, packed])


def test_our_har_is_read_by_others(store):
    captures(store, "export", "-o", "all.har")
    with open(store / "all.har", "rb") as file:
        read = list(flows.FlowReader(file).stream())
    assert [one.request.content for one in read] == [ASK, PLAIN]
    assert read[1].response.content == ANSWER and read[0].response.status_code == 200
    parser = HarParser(json.loads((store / "all.har").read_text()))
    assert parser.version == "1.2" and parser.creator["name"] == "Pinhole"
    for entry in parser.har_data["entries"]:
        phases = [entry["timings"][name] for name in ("blocked", "dns", "connect", "send", "wait", "receive")]
        assert entry["time"] == pytest.approx(sum(phase for phase in phases if phase > 0))
        assert {"method", "url", "httpVersion", "cookies", "headers", "queryString", "headersSize", "bodySize"} <= entry["request"].keys()
        assert {"status", "statusText", "httpVersion", "cookies", "headers", "content", "redirectURL", "headersSize", "bodySize"} <= entry[
            "response"
        ].keys()


def test_captures_in_cbor_come_in(tmp_path):
    def event(at, way, data, **facts):
        packed = zlib.compress(data)
        smaller = len(data) > 128 and len(packed) < len(data)
        body = {"data": packed, "enc": "zlib"} if smaller else {"data": data}
        return {"ts": BEGAN + at, "dir": way, "seq": 0, **body, "meta": {"rid": "r-1", "sid": "s-1", **facts}}

    sent = b"POST /v1/chat/completions HTTP/1.1\r\nhost: api.openai.com\r\nauthorization: Bearer sk-judge-0002\r\n\r\n" + ASK
    with open(tmp_path / "wire.cbor", "wb") as file:
        header = {"magic": "LLMPROXY-CAPTURE-V2", "version": 2, "created_at": BEGAN, "session_id": "x", "metadata": {}}
        for item in (
            header,
            event(0, 0, ASK, url="/v1/chat/completions"),
            event(0.01, 2, sent, be="openai", mod="gpt-5"),
            event(0.30, 3, STREAM[:50], be="openai", ci=0),
            event(0.31, 1, STREAM[:50], ci=0),
            event(0.90, 3, STREAM[50:], be="openai", ci=1),
            event(0.91, 1, STREAM[50:], ci=1),
        ):
            cbor2.dump(item, file)
    captures(tmp_path, "import", "wire.cbor")
    (one,) = exchanges(tmp_path)
    attempt = one["attempts"][0]
    assert attempt["frames"] == [[300_000, 50], [900_000, len(STREAM) - 50]]
    assert attempt["response"]["body"]["text"].encode() == STREAM
    assert attempt["request"]["body"]["state"] == "same" and one["response"]["body"]["state"] == "same"
    assert (one["output_tokens"], one["outcome"], one["session_id"]) == (2, "complete", "s-1")
    assert "sk-judge" not in json.dumps(one)


@pytest.mark.parametrize("file", ["all.ndjson", "all.har", "all.bundle"])
def test_a_store_moves(store, tmp_path_factory, file):
    other = tmp_path_factory.mktemp("other")
    captures(store, "export", "-o", str(other / file))
    captures(other, "import", file)
    own = [{name: value for name, value in one.items() if name != "seq"} for one in exchanges(store)]
    moved = [{name: value for name, value in one.items() if name != "seq"} for one in exchanges(other)]
    assert moved == own
