"""Traces in a real backend for LLM traces: what it shows as kind, messages, tokens and parents, asked of its REST API."""

import json
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from station import PROVIDERS, Child, Gateway, Simulator, eventually, free_port, scripted_calls

PROJECT = "default"


@pytest.fixture(scope="module")
def phoenix(tmp_path_factory):
    port, grpc = free_port(), free_port()
    program = Child(
        [str(Path(sys.executable).parent / "phoenix"), "serve"],
        {
            "PHOENIX_HOST": "127.0.0.1",
            "PHOENIX_WORKING_DIR": str(tmp_path_factory.mktemp("phoenix")),
            "PHOENIX_PORT": str(port),
            "PHOENIX_GRPC_PORT": str(grpc),
            "PHOENIX_TELEMETRY_ENABLED": "false",
            "PHOENIX_ALLOW_EXTERNAL_RESOURCES": "false",
        },
    )
    # It starts slowly.
    program.url, program.grpc = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{grpc}"
    for _ in range(4):
        try:
            eventually("Phoenix", lambda: get(f"{program.url}/v1/projects") is not None)
            break
        except AssertionError:
            assert program.process.poll() is None, program.output()
    yield program
    program.stop()


def get(url):
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return json.load(answer)
    except (urllib.error.URLError, OSError, ValueError):
        return None


def spans_of(phoenix, count):
    def look():
        page = get(f"{phoenix.url}/v1/projects/{PROJECT}/spans?limit=100") or {}
        found = page.get("data", [])
        return len(found) >= count and found

    return eventually(f"{count} spans in Phoenix", look)


def test_phoenix_shows_kinds_messages_tokens_and_parents(phoenix):
    sim = Simulator()
    gateway = Gateway(
        sim,
        PROVIDERS,
        environment={
            "OTEL_EXPORTER_OTLP_ENDPOINT": phoenix.grpc,
            "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
            "OTEL_BSP_SCHEDULE_DELAY": "50",
            "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "SPAN_ONLY",
        },
    )
    try:
        told = scripted_calls(gateway.url, {"x-session-id": "session-in-phoenix"})
        spans = spans_of(phoenix, 3 * len(told))
    finally:
        gateway.stop()
        sim.stop()

    by_id = {span["context"]["span_id"]: span for span in spans}
    models = [span for span in spans if span["span_kind"] == "LLM"]
    assert len(spans) == 3 * len(told) and len(models) == len(told), [span["name"] for span in spans]
    for span in models:
        parent = by_id[span["parent_id"]]
        assert parent["name"].startswith("POST /v1") and parent["parent_id"] is None
        children = [one for one in spans if one["parent_id"] == span["context"]["span_id"]]
        assert [one["name"] for one in children] == ["POST"]

    models.sort(key=lambda span: span["start_time"])
    counted = [
        (span["attributes"]["llm.token_count.prompt"], span["attributes"]["llm.token_count.completion"])
        for span in models
    ]
    assert counted == told
    for span in models:
        attributes = span["attributes"]
        assert attributes["llm.input_messages.0.message.role"] == "user", span["name"]
        texts = json.dumps(attributes)
        assert "planted-words of a prompt" in texts
        assert any(key.startswith("llm.output_messages.0.message.") for key in attributes), span["name"]
        assert attributes["session.id"] == "session-in-phoenix"
