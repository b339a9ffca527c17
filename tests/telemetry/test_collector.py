"""Spans and metrics, sent to a real collector by every protocol and read from what it forwards."""

import json

import pytest
from station import CALLER, PROVIDERS, TRACE, Collector, Gateway, Simulator, Sink, eventually, scripted_calls

SECRETS = [b"sk-provider-planted", b"sk-ant-planted", b"gemini-planted", b"Bearer client-planted"]


@pytest.fixture(scope="module")
def sim():
    program = Simulator()
    yield program
    program.stop()


@pytest.fixture
def sink():
    receiver = Sink()
    yield receiver
    receiver.stop()


@pytest.fixture
def collector(sink):
    program = Collector(sink)
    yield program
    program.stop()


@pytest.fixture
def start(sim, collector):
    """Starts a gateway that exports by a protocol."""
    started = []

    def start_gateway(protocol, **more):
        port = collector.grpc if protocol == "grpc" else collector.http
        environment = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}",
            "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
            "OTEL_BSP_SCHEDULE_DELAY": "50",
            "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test",
            **more,
        }
        started.append(Gateway(sim, PROVIDERS, environment=environment))
        return started[-1]

    yield start_gateway
    for program in started:
        program.stop()


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf", "http/json"])
def test_every_exchange_is_a_trace_of_three_spans(start, sink, protocol):
    gateway = start(protocol, OTEL_EXPORTER_OTLP_COMPRESSION="none" if protocol == "http/json" else "gzip")
    told = scripted_calls(gateway.url, {"traceparent": CALLER, "authorization": "Bearer client-planted"})
    spans = sink.wait_for_spans(3 * len(told))
    assert len(spans) == 3 * len(told)
    assert {span.trace for span in spans} == {TRACE}
    assert all(span.resource["service.name"] == "pinhole" for span in spans)
    assert all(span.resource["deployment.environment.name"] == "test" for span in spans)

    by_id = {span.id: span for span in spans}
    servers = [span for span in spans if span.kind == "server"]
    calls = [span for span in spans if "gen_ai.operation.name" in span.attributes]
    attempts = [span for span in spans if "pinhole.provider" in span.attributes]
    assert [len(servers), len(calls), len(attempts)] == [len(told)] * 3
    assert all(span.parent == "00f067aa0ba902b7" for span in servers)
    assert all(by_id[span.parent] in servers for span in calls)
    assert all(by_id[span.parent] in calls for span in attempts)
    for span in calls + attempts:
        parent = by_id[span.parent]
        assert span.kind == "client" and not span.error
        assert parent.start <= span.start <= span.end <= parent.end
        assert span.attributes["pinhole.exchange.id"] == parent.attributes["pinhole.exchange.id"]

    in_order = sorted(calls, key=lambda span: span.start)
    names = [span.name for span in in_order]
    assert names == [
        "chat gpt-5",
        "chat gpt-5",
        "chat gpt-5",
        "chat claude-sonnet-4-6",
        "chat gemini-2.5-pro",
    ]
    providers = [span.attributes["gen_ai.provider.name"] for span in in_order]
    assert providers == ["openai", "openai", "openai", "anthropic", "gcp.gemini"]
    counted = [
        (span.attributes["gen_ai.usage.input_tokens"], span.attributes["gen_ai.usage.output_tokens"]) for span in in_order
    ]
    assert counted == told
    assert in_order[0].attributes["gen_ai.response.finish_reasons"] == ["stop"]
    assert all(span.attributes["gen_ai.response.time_to_first_chunk"] > 0 for span in in_order[1:])
    for body in sink.raw:
        assert not any(mark in body for mark in [b"planted-words", *SECRETS])


def test_content_is_sent_only_when_asked_for_and_without_secrets(start, sink):
    gateway = start("grpc", OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT="SPAN_ONLY")
    told = scripted_calls(gateway.url, {"authorization": "Bearer client-planted"})
    calls = [span for span in sink.wait_for_spans(3 * len(told)) if "gen_ai.operation.name" in span.attributes]
    for span in calls:
        asked = json.loads(span.attributes["gen_ai.input.messages"])
        words = "planted-words of a prompt"
        assert asked == [{"role": "user", "parts": [{"type": "text", "content": words}]}], span.name
        answered = json.loads(span.attributes["gen_ai.output.messages"])
        assert [one["role"] for one in answered] == ["assistant"]
        assert answered[0]["finish_reason"] and answered[0]["parts"][0]["content"]
    for body in sink.raw:
        assert not any(mark in body for mark in SECRETS)


def test_what_is_not_sampled_is_not_sent(start, sink):
    gateway = start("grpc", OTEL_TRACES_SAMPLER="parentbased_always_off")
    scripted_calls(gateway.url)
    scripted_calls(gateway.url, {"traceparent": CALLER[:-2] + "00"})
    told = scripted_calls(gateway.url, {"traceparent": CALLER})
    spans = sink.wait_for_spans(3 * len(told))
    assert len(spans) == 3 * len(told) and {span.trace for span in spans} == {TRACE}


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_metrics_are_sent_where_asked_for(start, sink, protocol):
    gateway = start(protocol, OTEL_METRICS_EXPORTER="otlp", OTEL_METRIC_EXPORT_INTERVAL="100")
    told = scripted_calls(gateway.url)

    def of(name):
        """The newest points of a metric: numbers count from the start."""
        found = [metric for metric in sink.metrics() if metric.name == name]
        return found[-1].histogram.data_points if found else []

    def tokens(kind):
        points = of("gen_ai.client.token.usage")
        fitting = [
            point
            for point in points
            if any(one.key == "gen_ai.token.type" and one.value.string_value == kind for one in point.attributes)
        ]
        return sum(point.sum for point in fitting)

    wanted = [sum(one[0] for one in told), sum(one[1] for one in told)]
    eventually(f"the tokens {wanted}", lambda: [tokens("input"), tokens("output")] == wanted)
    assert sum(point.count for point in of("gen_ai.client.operation.duration")) == len(told)
    assert sum(point.count for point in of("http.server.request.duration")) == len(told)
    assert sum(point.count for point in of("gen_ai.server.time_to_first_token")) == len(told) - 1
