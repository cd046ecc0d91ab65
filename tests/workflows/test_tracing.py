"""Traces: off without a word in the environment; on, one of a message, over all its parts."""

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from chatflow.workflows import tracing

GIVEN = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def exporter(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    kept = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(kept))
    monkeypatch.setattr(tracing, "is_on", lambda: True)
    monkeypatch.setattr(tracing, "_tracer", lambda: provider.get_tracer("test"))
    yield kept
    provider.shutdown()


def ids(span: ReadableSpan) -> tuple[str, str | None]:
    assert span.context is not None
    parent = None if span.parent is None else trace.format_span_id(span.parent.span_id)
    return trace.format_trace_id(span.context.trace_id), parent


@pytest.mark.parametrize(
    ("environment", "on"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://h"}, True),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://h"}, False),
        ({"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://h"}, False),
        ({"OTEL_SERVICE_NAME": "x"}, False),
    ],
)
def test_the_environment_says_whether(
    environment: dict[str, str], on: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert tracing.is_on.__wrapped__() is on


def test_nothing_is_imported_without() -> None:
    code = """
import sys
from django.conf import settings
settings.configure(CHATFLOW={})
from chatflow.workflows import tracing
with tracing.span("a") as span:
    assert span is None
assert tracing.present() == "" and tracing.kept({"a": 1}) == {"a": 1}
assert tracing.headers_for("localhost") == {} and tracing.current() is None
assert not [name for name in sys.modules if name.startswith("opentelemetry")]
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_trace_is_taken_on(exporter: InMemorySpanExporter) -> None:
    with tracing.span("request", "SERVER", parent=GIVEN):
        options = tracing.kept({"memory": True})
    assert options["memory"] is True
    with tracing.span("work", parent=tracing.parent_of(options)), tracing.span("step"):
        pass
    request, step, work = exporter.get_finished_spans()
    assert {ids(each)[0] for each in (request, step, work)} == {GIVEN.split("-")[1]}
    assert ids(request)[1] == GIVEN.split("-")[2]
    assert ids(work)[1] == tracing.parent_of(options).split("-")[2]


def test_garbage_begins_a_new_one(exporter: InMemorySpanExporter) -> None:
    for given in ("", "x", "00-0-0-01", "\u2028", GIVEN.upper()):
        with tracing.span("request", "SERVER", parent=given):
            pass
        assert ids(exporter.get_finished_spans()[-1])[1] is None


def test_a_retry_is_linked(exporter: InMemorySpanExporter) -> None:
    old = {tracing.TRACE: {tracing.PARENT: GIVEN}, "model": "x"}
    with tracing.span("request"):
        new = tracing.kept_of_retry(old)
    assert new["model"] == "x"
    assert tracing.parent_of(new) not in ("", GIVEN)
    retried = tracing.parent_of(new, tracing.RETRIED)
    with tracing.span("work", parent=tracing.parent_of(new), retried=retried):
        pass
    [link] = exporter.get_finished_spans()[-1].links
    assert trace.format_span_id(link.context.span_id) == GIVEN.split("-")[2]


def test_an_error_is_told_by_its_type(exporter: InMemorySpanExporter) -> None:
    with pytest.raises(ValueError, match="xylophone"), tracing.span("work"):
        raise ValueError("xylophone")
    [span] = exporter.get_finished_spans()
    assert span.attributes is not None
    assert span.attributes["error.type"] == "ValueError"
    assert not span.status.is_ok
    assert "xylophone" not in span.to_json()


@pytest.mark.parametrize(
    ("host", "own"),
    [
        ("127.0.0.1", True),
        ("10.1.2.3", True),
        ("[::1]", True),
        ("localhost", True),
        ("ollama", True),
        ("gpu.internal", True),
        ("api.openai.com", False),
        ("8.8.8.8", False),
        ("internal.example.com", False),
    ],
)
def test_only_hosts_of_ones_own_get_it(
    host: str, own: bool, exporter: InMemorySpanExporter
) -> None:
    with tracing.span("ask"):
        assert bool(tracing.headers_for(host)) is own


def test_options_of_an_answer_leave_it_out() -> None:
    from chatflow.workflows.models import Job

    job: Any = Job(options={tracing.TRACE: {tracing.PARENT: GIVEN}, "memory": False})
    assert job.flags == {"memory": False}
