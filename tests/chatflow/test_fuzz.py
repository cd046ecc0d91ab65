"""What nobody thought of: requests made by the schema, and by chance, at every door.

The same ones each time; FUZZ=1000 makes a thousand for each test in place of a few.
"""

import json
import os
from typing import Any

import jsonschema
import pytest
import schemathesis
from django.contrib.auth.models import User
from django.test import Client
from drf_spectacular.generators import SchemaGenerator
from hypothesis import HealthCheck, given
from hypothesis import settings as rules
from hypothesis import strategies as st
from schemathesis import GenerationMode

from chatflow.asgi import application
from chatflow.wire.openings import ON_LOOP
from chatflow.workflows.models import Job
from tests.chatflow.answers.test_schema import plain
from tests.chatflow.conftest import MakeJob
from tests.chatflow.exchange import Exchange
from tests.chatflow.test_web import pool  # noqa: F401  (a fixture)
from tests.configure import configure

pytestmark = pytest.mark.django_db

EXAMPLES = int(os.environ.get("FUZZ", "3"))
fuzz = rules(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
# Under the test client there are none: test_raw_requests opens them.
STREAMS = (
    *("/ai-demo/workflow/stream/{job_id}", "/ai-demo/chat/stream"),
    *("/v1/chat/completions", "/v1/responses"),
)
SCHEMA: Any = SchemaGenerator().get_schema(public=True)  # type: ignore[no-untyped-call]
FOUND: list[Any] = list(schemathesis.openapi.from_dict(SCHEMA).get_all_operations())
OPERATIONS = {each.ok().label: each.ok() for each in FOUND if each.ok().path not in STREAMS}
# Anybody may ask for it, and there is nothing to say.
ASKS_NOTHING = "GET /.well-known/agent-card.json"
# A workflow may fail, and says so.
FAILED = {"workflow_failed", "fire"}


@pytest.fixture
def as_alice(as_alice: Client) -> Client:
    """Let the views of dialects begin their streams, which nobody reads."""
    environ: Any = as_alice.defaults
    environ[ON_LOOP] = True
    return as_alice


@pytest.fixture
def known(as_alice: Client, alice: User, make_job: MakeJob, run: Any, settings: Any) -> Any:
    """Return ids of what is there, by the names of the schema's parameters."""
    configure(settings, RATE_LIMIT_SEND=(10_000, 60))
    job = run(make_job(alice, session="s"))
    upload = {"text": "# Tea\n\nTea is at four."}
    made = as_alice.post("/ai-demo/knowledge/documents", upload, "application/json").json()
    return {
        "session_id": "s",
        "thread_id": "s",
        "job_id": job.public_id,
        "action_id": job.actions[0]["id"],
        "document_id": made["document"]["id"],
        "approval_id": "approval_x",
    }


def ask(client: Client, case: Any) -> Any:
    """Make a request as schemathesis describes it."""
    sent = case.as_transport_kwargs(base_url="http://testserver")
    headers = {name: str(value) for name, value in (case.headers or {}).items()}
    headers = {name: value for name, value in headers.items() if name == "Idempotency-Key"}
    body = json.dumps(sent["json"]).encode() if "json" in sent else sent.get("data") or b""
    if sent.get("files") or not isinstance(body, str | bytes):
        # Forms have a fuzzer of their own.
        body = b""
    return client.generic(
        case.method,
        case.formatted_path,
        body,
        content_type=case.media_type or "application/json",
        headers=headers,
        query_params=case.query or None,
    )


def check(operation: Any, answer: Any) -> None:
    """Hold an answer against the schema; a workflow may fail, the server may not."""
    shown = operation.definition.raw["responses"].get(str(answer.status_code))
    streams = answer.headers.get("Content-Type") == "text/event-stream"
    if (answer.status_code in (202, 204) and not answer.content) or streams:
        assert shown is not None
        return
    if answer.status_code == 200 and "application/octet-stream" in shown["content"]:
        # A download has no more of a schema.
        return
    said = answer.json()
    assert answer.status_code < 500 or said["code"] in FAILED, said
    # Of any endpoint, by Django or the parsers.
    if answer.status_code in (400, 404, 405, 415) and shown is None:
        assert said.keys() >= {"success", "error", "code"}
        return
    assert shown is not None, f"{operation.label} doesn't say that it answers {answer.status_code}"
    schema = plain(shown["content"]["application/json"]["schema"])
    components = plain(SCHEMA["components"])
    jsonschema.validate(said, {**schema, "components": components})


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
@pytest.mark.parametrize("label", OPERATIONS)
def test_requests_by_the_schema(
    as_alice: Client, known: dict[str, str], label: str, mode: GenerationMode
) -> None:
    operation = OPERATIONS[label]
    if label == ASKS_NOTHING and mode is GenerationMode.NEGATIVE:
        pytest.skip("Nothing can be wrong with it.")

    @fuzz
    @given(case=operation.as_strategy(generation_mode=mode), real=st.booleans())
    def attack(case: Any, real: bool) -> None:
        if real:
            # Else hardly any request would get beyond the first look-up.
            named = case.path_parameters or {}
            case.path_parameters = {name: known.get(name, each) for name, each in named.items()}
            if isinstance(case.body, dict):
                case.body = {name: known.get(name, each) for name, each in case.body.items()}
        answer = ask(as_alice, case)
        check(operation, answer)
        if mode is GenerationMode.POSITIVE and label == "POST /ai-demo/chat/send":
            refused = answer.json().get("errors", {})
            # Only this site knows which names there are.
            assert refused.keys() <= {"workflow", "model"}, refused

    attack()


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["echo", "s", "\ud800", "\0", "\u202e", "../..", "9" * 400]),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=12,
)
FIELDS = st.sampled_from(
    [
        *("message", "session_id", "action_id", "data", "workflow", "model", "async", "actions"),
        *("memory", "on_busy", "approved", "reason", "answer", "text", "title", "url", "type"),
    ]
)
DOORS = [
    "/ai-demo/chat/send",
    "/ai-demo/chat/action",
    "/ai-demo/workflow/approval/approval_x",
    "/ai-demo/knowledge/documents",
    "/api/chat",
    "/ag-ui/echo",
    "/a2a",
    "/mcp",
    "/v1/chat/completions",
    "/v1/responses",
]


@pytest.mark.parametrize("url", DOORS)
def test_any_json(as_alice: Client, known: dict[str, str], url: str) -> None:
    @fuzz
    @given(
        value=st.dictionaries(FIELDS, JSON),
        cut=st.integers(0, 60),
        content_type=st.sampled_from(
            ["application/json", "text/plain", "application/JSON;x=y", ""]
        ),
    )
    def attack(value: Any, cut: int, content_type: str) -> None:
        body = json.dumps(value).encode()
        for sent in (body, body[:cut], b"[" * 5000, body + b"\xff"):
            answer = as_alice.generic("POST", url, sent, content_type=content_type)
            assert answer.status_code < 500, answer.content
            assert answer["Content-Type"] == "application/json"

    attack()


def test_any_form(as_alice: Client, known: dict[str, str]) -> None:
    """Multipart, right and broken."""
    lines = st.lists(
        st.sampled_from(
            [
                b"--x",
                b"--x--",
                b"",
                b'Content-Disposition: form-data; name="file"; filename="a.md"',
                b'Content-Disposition: form-data; name="title"',
                b"Content-Disposition: form-data; name*=utf-8''%ff; filename*=x",
                b"Content-Type: text/markdown; charset=nonsense",
                b"Content-Transfer-Encoding: base64",
                b"Content-Length: -1",
                b"# Tea",
            ]
        )
        | st.binary(max_size=40),
        max_size=14,
    )

    @fuzz
    @given(lines=lines, boundary=st.sampled_from(["x", "", "x" * 300, '"x"', "\xe9"]))
    def attack(lines: list[bytes], boundary: str) -> None:
        answer = as_alice.generic(
            "POST",
            "/ai-demo/knowledge/documents",
            b"\r\n".join(lines),
            content_type=f"multipart/form-data; boundary={boundary}",
        )
        assert answer.status_code < 500, answer.content
        assert answer["Content-Type"] == "application/json"

    attack()


RAW = st.binary(max_size=30).map(lambda value: value.decode("latin-1"))
PATHS = st.sampled_from(
    [
        *(
            "chat/send",
            "chat/",
            "chat/history/",
            "chat/stream",
            "workflow/status/",
            "workflow/stream/",
        ),
        *("workflow/jobs", "knowledge/documents/", "knowledge/pages/", "workflow/cancel/"),
    ]
)


@st.composite
def requests(draw: st.DrawFn) -> dict[str, Any]:
    """Make a request as a server may hand it on."""
    root = draw(st.sampled_from(["/ai-demo/", "/", "/admin/", "/api/", "/static/"]))
    path = root + draw(PATHS | st.just("")) + draw(RAW)
    names = ["authorization", "cookie", "content-type", "last-event-id", "content-length", "accept"]
    names += ["x-forwarded-proto", "x-forwarded-host", "idempotency-key", "origin", "range"]
    headers = draw(st.dictionaries(st.sampled_from(names), RAW, max_size=3))
    query = draw(RAW).replace("#", "")
    return {
        "path": f"{path.replace('?', '')}?{query}",
        "method": draw(
            st.sampled_from(["GET", "POST", "DELETE", "PUT", "HEAD", "OPTIONS", "BREW"])
        ),
        "headers": headers,
        "body": draw(st.lists(st.binary(max_size=40), min_size=1, max_size=3)),
    }


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("pool")
async def test_raw_requests() -> None:
    """At the door itself, with bytes that no library would send."""
    made: list[dict[str, Any]] = []

    @fuzz
    @given(requests())
    def collect(request: dict[str, Any]) -> None:
        made.append(request)

    collect()
    for request in made:
        async with Exchange(application, **request) as exchange:
            exchange.hang_up()
            status = await exchange.start()
            body = await exchange.read()
        assert status < 500, (request, body)
        if request["path"].startswith("/ai-demo/") and status >= 400 and body:
            assert json.loads(body)["success"] is False, request
    assert not await Job.objects.aexists()
