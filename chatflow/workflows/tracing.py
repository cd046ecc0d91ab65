"""One trace of a message: from its request through the queue, the attempts, their steps and the
calls of models to the last frame of its stream.

Off, and nothing of OpenTelemetry is imported, unless the environment names where traces go
(``OTEL_EXPORTER_OTLP_ENDPOINT`` and the like), or ``TRACING`` says that the project has set up
OpenTelemetry itself. Spans have names, figures and ids; never what anybody said.
"""

import ipaddress
import multiprocessing.util
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Literal

from chatflow.conf import conf

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Link, Tracer
    from opentelemetry.trace import Span as Span  # For those who hold one.

Kind = Literal["SERVER", "CONSUMER", "CLIENT", "INTERNAL"]
Attributes = Mapping[str, str | int | float | bool]

# Among a job's options: the trace that it belongs to, and that of the job which it retries.
TRACE = "trace"
PARENT, RETRIED = "parent", "retried"
# By any of these the environment says where traces go.
DESTINATIONS = (
    "OTEL_TRACES_EXPORTER",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
)
HEADER = "traceparent"
# Of hosts that are no public ones.
OWN_DOMAINS = (".local", ".internal", ".lan", ".localhost")


@cache
def is_on() -> bool:
    """Say whether traces are wanted."""
    off = os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    if off or os.environ.get("OTEL_TRACES_EXPORTER", "").strip() == "none":
        return False
    return conf.TRACING or any(os.environ.get(name) for name in DESTINATIONS)


@contextmanager
def span(
    name: str,
    kind: Kind = "INTERNAL",
    attributes: Attributes | None = None,
    *,
    parent: str | None = None,
    retried: str = "",
) -> Iterator["Span | None"]:
    """Be in a span; an error that leaves it marks it, by its type alone.

    Args:
        name: the span's.
        kind: one of OpenTelemetry's.
        attributes: what is known at its beginning.
        parent: a traceparent; by default it is a part of the present span.
        retried: the traceparent of what is done again.

    Yields:
        The span; None where traces are off.
    """
    if not is_on():
        yield None
        return
    from opentelemetry import trace

    context = None if parent is None else _context(parent)
    found = _tracer().start_span(
        name,
        context=context,
        kind=trace.SpanKind[kind],
        attributes=dict(attributes or {}),
        links=_links(retried),
    )
    # The text of an error may quote whoever has caused it.
    with trace.use_span(
        found, end_on_exit=True, record_exception=False, set_status_on_exception=False
    ):
        try:
            yield found
        except BaseException as error:
            fail(found, type(error).__qualname__)
            raise


def fail(found: "Span | None", kind: str) -> None:
    """Mark a span as failed.

    Args:
        found: the span.
        kind: of the error, in a word.
    """
    if found is not None:
        from opentelemetry.trace import Status, StatusCode

        found.set_attribute("error.type", kind)
        found.set_status(Status(StatusCode.ERROR))


def begin(name: str, kind: Kind, parent: str, attributes: Attributes) -> "Span | None":
    """Begin a span that something else ends; see span()."""
    if not is_on():
        return None
    from opentelemetry import trace

    return _tracer().start_span(
        name, context=_context(parent), kind=trace.SpanKind[kind], attributes=dict(attributes)
    )


def tell(name: str, parent: str, began: datetime, ended: datetime, attributes: Attributes) -> None:
    """Tell of a span that is over."""
    if not is_on():
        return
    over = _tracer().start_span(
        name, context=_context(parent), start_time=_nanoseconds(began), attributes=dict(attributes)
    )
    over.end(_nanoseconds(ended))


def current() -> "Span | None":
    """Return the present span; None where traces are off."""
    if not is_on():
        return None
    from opentelemetry import trace

    return trace.get_current_span()


def is_in_span() -> bool:
    """Say whether a span is under way, such as that of a project's own instrumentation."""
    return bool(present())


def present() -> str:
    """Return the traceparent of the present span; empty where there is none."""
    if not is_on():
        return ""
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return carrier.get(HEADER, "")


def kept(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a new job, which belongs to the present trace from now on."""
    if not is_on() or not (parent := present()):
        return dict(options)
    return {**options, TRACE: {PARENT: parent}}


def kept_of_retry(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a job that does another one's work again.

    Args:
        options: the other one's.
    """
    old = parent_of(options)
    new = kept({name: value for name, value in options.items() if name != TRACE})
    return {**new, TRACE: {**new.get(TRACE, {}), RETRIED: old}} if old else new


def parent_of(options: Mapping[str, Any], which: str = PARENT) -> str:
    """Return the traceparent that kept() has kept; empty where there is none."""
    found = options.get(TRACE)
    return str(found.get(which, "")) if isinstance(found, dict) else ""


def headers_for(host: str) -> dict[str, str]:
    """Return the headers that take the trace on to a host of one's own; no provider's gets any."""
    found = present() if is_on() and is_own(host) else ""
    return {HEADER: found} if found else {}


def is_own(host: str) -> bool:
    """Say whether a host is certainly no public one."""
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return "." not in host or host.endswith(OWN_DOMAINS)
    return address.is_private


def _context(traceparent: str) -> "Context":
    from opentelemetry.context import Context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    # What is no traceparent begins a new trace.
    return TraceContextTextMapPropagator().extract({HEADER: traceparent}, Context())


def _links(traceparent: str) -> "list[Link]":
    if not traceparent:
        return []
    from opentelemetry import trace

    found = trace.get_current_span(_context(traceparent)).get_span_context()
    return [trace.Link(found, {"chatflow.link": RETRIED})] if found.is_valid else []


def _nanoseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000_000_000)


@cache
def _tracer() -> "Tracer":
    from opentelemetry import trace

    own = isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)
    if own and any(os.environ.get(name) for name in DESTINATIONS):
        _set_up()
    return trace.get_tracer("chatflow")


def _set_up() -> None:
    """Set up OpenTelemetry by its environment, in the process that has something to tell."""
    from opentelemetry import trace
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    name = os.environ.get("OTEL_TRACES_EXPORTER", "").strip()
    group = "opentelemetry_traces_exporter"
    [exporter] = entry_points(
        group=group, name="otlp_proto_http" if name in ("", "otlp") else name
    ) or [None]
    if exporter is None:
        raise LookupError(f"There is no exporter of traces called {name!r}.")
    own = {} if os.environ.get("OTEL_SERVICE_NAME") else {"service.name": "chatflow"}
    provider = TracerProvider(resource=Resource.create(own), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter.load()()))
    trace.set_tracer_provider(provider)
    # A worker of the cluster is a fork, which ends without what atexit knows.
    multiprocessing.util.Finalize(None, provider.shutdown, exitpriority=1)
