"""What a client is promised, in a project with settings, users and tables of its own.

``test_host.py`` runs these in a process of its own.
"""

from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import connections
from django.test import Client, TransactionTestCase
from django_q.conf import Conf
from django_q.models import OrmQ
from django_q.tasks import async_task
from rest_framework.exceptions import APIException

from chatflow.answers.errors import problem
from chatflow.asgi import application
from chatflow.auth import authorize, revoked
from chatflow.endpoints.probes import migrated
from chatflow.models import Token
from chatflow.workflows import Context, testing, workflow
from chatflow.workflows.db import connection
from chatflow.workflows.exceptions import JobNotFound
from chatflow.workflows.knowledge.documents import store
from chatflow.workflows.models import Job
from chatflow.workflows.testing.worker import run_waiting
from tests.chatflow.conftest import MakeJob
from tests.chatflow.exchange import Exchange
from tests.chatflow.streams.test_of_job import signed_in
from tests.chatflow.test_auth import asked_for, grant_of
from tests.chatflow.threads import close_streams
from tests.configure import configure
from tests.conftest import Bearer
from tests.host.apps import SCHEMA
from tests.host.notes.models import Note
from tests.workflows.faults import make_outage

pytestmark = pytest.mark.django_db(databases=["chat"])
pytest_plugins = ["tests.chatflow.conftest"]

SEND = "/ai-demo/chat/send"
JOBS = "/ai-demo/workflow/jobs"
STATUS = "/ai-demo/workflow/status/"
ASYNC: dict[str, Any] = {"async": True}
ENVELOPE = {"success", "error", "code"}


@pytest.fixture(autouse=True)
def _keep_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test's transaction is its connection's."""
    monkeypatch.setattr("chatflow.streams.of_job.close_old_connections", lambda: None)


@pytest.fixture
def alice(db: None) -> Any:
    return get_user_model()._default_manager.create_user("alice@example.com", "pw")


@pytest.fixture
def bob(db: None) -> Any:
    return get_user_model()._default_manager.create_user("bob@example.com", "pw")


@pytest.fixture
def by_key(alice: Any) -> Client:
    headers = {"X-Team-Key": "alice@example.com"}
    return Client(headers=headers, raise_request_exception=False)


@pytest.fixture(scope="module", autouse=True)
def _flush_what_was_committed() -> Iterator[None]:
    """Leave nothing behind in this project's database."""

    def flush(test_case: TransactionTestCase) -> None:
        call_command("flush", database="chat", interactive=False, verbosity=0)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", flush)
        yield


def send(client: Client, message: str = "hello", **fields: Any) -> Any:
    body = {"message": message, "session_id": "s", "workflow": "echo", **fields}
    return client.post(SEND, body, "application/json")


@pytest.mark.django_db(databases=["default", "chat"])
def test_no_check_complains_and_no_migration_is_missing() -> None:
    errors = StringIO()
    call_command("check", stderr=errors)
    # The one warning names the middleware that such a project should have.
    assert "chatflow.W013" in errors.getvalue()
    assert "1 issue" in errors.getvalue()
    call_command("makemigrations", "chatflow", "chatflow_workflows", check=True, dry_run=True)


def test_the_cluster_is_ours() -> None:
    assert (Conf.BROKER_CLASS, Conf.ORM) == (
        "chatflow.workflows.cluster.broker.JobBroker",
        "chat",
    )


def test_the_tables_are_in_the_schema_of_the_team() -> None:
    if connection.vendor != "postgresql":
        pytest.skip("only on PostgreSQL, which the database of the tests' plugin isn't here")
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT schemaname FROM pg_tables"
            " WHERE tablename LIKE 'workflows_%' OR tablename LIKE 'chatflow_%'"
        )
        assert cursor.fetchall() == [(SCHEMA,)]


@pytest.mark.django_db(databases=["default", "chat"])
def test_each_table_is_where_the_router_leads() -> None:
    def tables(name: str) -> set[str]:
        of_migrations = {"django_migrations", "sqlite_sequence"}
        return set(connections[name].introspection.table_names()) - of_migrations

    # In other tests pytest-django refuses all that asks this database.
    assert tables("default") == {"notes_note"}
    assert {"workflows_job", "django_q_ormq", "people_person"} < tables("chat")
    assert "notes_note" not in tables("chat")
    assert migrated()


def test_an_answer_is_json_in_our_bytes(by_key: Client) -> None:
    answer = by_key.get(JOBS, headers={"Accept": "text/html; version=1"})
    assert answer.content == b'{"success":true,"jobs":[],"next":null}'
    assert answer["Content-Type"] == "application/json"
    assert answer["Cache-Control"] == "private, no-store"


def test_a_send_in_any_type_of_text(by_key: Client) -> None:
    assert send(by_key, "Grüße").json()["response"] == "You said: Grüße"
    answer = by_key.post(SEND, '{"message": "hello"}', "text/plain")
    assert answer.status_code == 200
    assert len(by_key.get(JOBS).json()["jobs"]) == 2


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "told"),
    [
        ("get", JOBS, None, 401, "Authentication credentials were not provided."),
        ("get", SEND, None, 401, "Authentication credentials were not provided."),
        ("get", STATUS + "x", None, 401, "Authentication credentials were not provided."),
        ("get", "/ai-demo/nothing", None, 404, "There is nothing here."),
    ],
)
def test_refusals_of_strangers(
    method: str, path: str, body: Any, status: int, told: str, anonymous: Client
) -> None:
    answer = getattr(anonymous, method)(path)
    assert answer.status_code == status
    assert set(answer.json()) == ENVELOPE
    assert answer.json()["error"] == told
    if status == 401:
        assert answer["WWW-Authenticate"] == "X-Team-Key"


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "told"),
    [
        ("get", SEND, None, 405, 'Method "GET" not allowed.'),
        ("get", STATUS + "x", None, 404, "There is no such job."),
        ("get", STATUS + "%00", None, 404, "There is no such job."),
        ("post", SEND, "nothing", 400, "The request body is not valid JSON."),
        ("post", SEND, "{}", 400, "message: This field is required."),
        ("post", SEND, '{"message": "a\\u0000"}', 400, None),
        ("post", SEND, " " * 1_048_577, 413, "What was sent is larger than 1 MB."),
    ],
)
def test_refusals(
    method: str, path: str, body: Any, status: int, told: str | None, by_key: Client
) -> None:
    call = by_key.get if method == "get" else by_key.post
    answer = call(path, body, content_type="application/json") if body else call(path)
    assert answer.status_code == status
    assert set(answer.json()) >= ENVELOPE
    assert told in (None, answer.json()["error"])


def test_an_error_of_ours_and_an_outage(by_key: Client, monkeypatch: Any) -> None:
    def fail(error: Exception) -> None:
        def lost(*args: Any) -> None:
            raise error

        monkeypatch.setattr("chatflow.endpoints.jobs.visible_jobs", lost)

    fail(RuntimeError("secret"))
    answer = by_key.get(JOBS)
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    fail(make_outage())
    answer = by_key.get(JOBS)
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert answer["Retry-After"]


def test_a_form_of_a_foreign_page(alice: Any) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice)
    answer = client.post(SEND, {"message": "hello"}, "application/json")
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert set(answer.json()) == ENVELOPE
    same = {"Sec-Fetch-Site": "same-origin"}
    answer = client.post(SEND, {"message": "hello"}, "application/json", headers=same)
    assert answer.status_code == 200


def test_our_tokens_are_as_ever(alice: Any, bearer: Bearer) -> None:
    headers = bearer(alice)
    secret = headers["Authorization"].removeprefix("Bearer ")
    assert len(secret) == 64
    assert Client(headers=headers).get(JOBS).status_code == 200
    assert Client(headers={"Authorization": f"Knox {secret}"}).get(JOBS).status_code == 401
    assert Token.objects.get().digest != secret


def test_one_who_is_no_user(alice: Any, make_job: MakeJob) -> None:
    machine = Client(headers={"X-Team-Key": "machine"})
    for path in (JOBS, STATUS + make_job(alice).public_id):
        answer = machine.get(path)
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    with pytest.raises((APIException, JobNotFound)) as raised:
        grant_of(make_job(alice), headers={"X-Team-Key": "machine"})
    assert problem(raised.value).status == 403


def test_one_who_was_deactivated(
    alice: Any, by_key: Client, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their class of authentication doesn't look."""
    job, headers = make_job(alice), {"X-Team-Key": "alice@example.com"}
    # The model has no such field.
    monkeypatch.setattr(get_user_model(), "is_active", False)
    for path in (JOBS, STATUS + job.public_id):
        assert by_key.get(path).json()["code"] == "forbidden"
    assert send(by_key, "hello").status_code == 403
    with pytest.raises((APIException, JobNotFound)) as raised:
        grant_of(job, headers=headers)
    assert problem(raised.value).status == 403


def test_a_key_makes_no_tokens(by_key: Client) -> None:
    answer = by_key.post("/ai-demo/tokens", {"name": "t"}, "application/json")
    assert answer.json()["code"] == "forbidden"


def test_the_permission_is_asked_everywhere(alice: Any, by_key: Client, make_job: MakeJob) -> None:
    job = make_job(alice)
    leave = {"X-On-Leave": "yes"}
    for path in (JOBS, STATUS + job.public_id):
        answer = by_key.get(path, headers=leave)
        assert (answer.status_code, answer.json()["error"]) == (403, "You are on leave.")
    for headers in ({"X-Team-Key": "alice@example.com"}, {"Cookie": signed_in(alice)}):
        with pytest.raises((APIException, JobNotFound)) as raised:
            grant_of(job, headers=headers | leave)
        assert (problem(raised.value).status, problem(raised.value).error) == (
            403,
            "You are on leave.",
        )
    with pytest.raises((APIException, JobNotFound)) as raised:
        grant_of(job, link=True, headers=leave)
    assert problem(raised.value).status == 403


@pytest.mark.parametrize("page", ["chat/", "chat/example/", "knowledge/pages/"])
def test_the_pages_are_for_whom_the_api_answers(alice: Any, settings: Any, page: str) -> None:
    document, _ = store(b"# Secret\nWords.", "text/markdown", owner=alice)
    path = f"/ai-demo/{page}{document.pk}" if "pages" in page else f"/ai-demo/{page}"
    browser = Client(headers={"Accept": "text/html"})
    browser.force_login(alice)
    assert browser.get(path).status_code == 200
    refused = browser.get(path, headers={"X-On-Leave": "yes"})
    assert (refused.status_code, refused["Content-Type"][:9]) == (403, "text/html")
    assert "You are on leave." in refused.content.decode()
    # Where the API takes no cookies.
    configure(settings, AUTHENTICATION_CLASSES=["tests.host.access.TeamKey"])
    assert browser.get(path).status_code == 403


def test_the_pages_have_a_policy_without_any_middleware(alice: Any, settings: Any) -> None:
    settings.STATIC_URL = "https://static.example.com/files/"
    configure(settings, IMAGE_HOSTS=["https://images.example.com"])
    client = Client()
    client.force_login(alice)
    assert client.get("/ai-demo/chat/")["Content-Security-Policy"] == (
        "base-uri 'none'; default-src 'self' static.example.com;"
        " img-src 'self' static.example.com data: https://images.example.com;"
        " object-src 'none'; style-src 'self' static.example.com"
    )
    assert "Content-Security-Policy" not in client.get(JOBS).headers


def test_a_stream_by_a_key(alice: Any, bob: Any, make_job: MakeJob, settings: Any) -> None:
    """It ends with the password, by revoke_tokens, and after a while: then its client asks anew."""
    job, headers = make_job(alice), {"X-Team-Key": "alice@example.com"}
    assert grant_of(job, headers=headers).user == alice
    right = grant_of(job, headers=headers).right
    assert not revoked([right])
    configure(settings, STREAM_LINK_TTL=0)
    short = grant_of(job, headers=headers).right
    assert revoked([right, short]) == {short}
    call_command("revoke_tokens", "alice@example.com", stdout=StringIO())
    assert revoked([right]) == {right}
    configure(settings, STREAM_LINK_TTL=60)
    again = grant_of(job, headers=headers).right
    assert not revoked([again])
    alice.set_password("another one")
    alice.save()
    assert revoked([again]) == {again}
    with pytest.raises((APIException, JobNotFound)) as raised:
        grant_of(job, headers={"X-Team-Key": "bob@example.com"})
    assert problem(raised.value).status == 404
    with pytest.raises((APIException, JobNotFound)) as raised:
        authorize(asked_for(job, {"X-Team-Key": "nobody"}), job.public_id)
    found = problem(raised.value)
    assert (found.status, found.headers["WWW-Authenticate"]) == (401, "X-Team-Key")


def test_a_link_needs_no_key(alice: Any, by_key: Client, anonymous: Client, run: Any) -> None:
    started = send(by_key, "hello", **ASYNC).json()
    run(Job.objects.get(public_id=started["job_id"]))
    assert anonymous.get(started["status_url"]).json()["data"]["status"] == "completed"


def test_the_staff_see_a_job_until_it_is_pruned(alice: Any, by_key: Client) -> None:
    started = send(by_key, "hello", **ASYNC).json()
    run_waiting()
    job = Job.objects.get(public_id=started["job_id"])
    assert (job.state, job.attempt) == ("completed", 1)
    get_user_model()._default_manager.update(is_staff=True, is_superuser=True)
    client = Client()
    client.force_login(alice)
    page = f"/admin/chatflow_workflows/job/{job.pk}/change/"
    assert page in client.get("/admin/chatflow_workflows/job/").content.decode()
    assert client.get(page).status_code == 200
    call_command("queue_prune", days=0, stdout=StringIO())
    assert not Job.objects.exists()


def test_an_ordinary_task_waits_beside_the_jobs() -> None:
    async_task("math.sqrt", 4)
    assert OrmQ.objects.using("chat").count() == 1


def test_a_token_of_the_terminal() -> None:
    said = StringIO()
    call_command("create_token", "carla@example.com", create=True, stdout=said)
    headers = {"Authorization": f"Bearer {said.getvalue().split()[-1]}"}
    assert Client(headers=headers).get(JOBS).status_code == 200


@pytest.mark.django_db(databases=["chat"], transaction=True)
async def test_a_stream_through_the_application(by_key: Client) -> None:
    def start() -> tuple[str, str]:
        sent = send(by_key, "hello", **ASYNC).json()
        run_waiting()
        return sent["job_id"], sent["stream_url"]

    _, url = await sync_to_async(start)()
    async with Exchange(application, url.partition("testserver")[2]) as exchange:
        frames = [frame["data"] async for frame in exchange.frames()]
    await close_streams()
    assert (frames[-1]["status"], frames[-1]["response"]) == ("completed", "You said: hello")


class TestKit:
    """Who asks for its fixtures reaches both databases."""

    pytestmark = pytest.mark.django_db()

    @pytest.mark.usefixtures("run")
    def test_a_workflow_that_uses_both(self) -> None:
        @workflow("note")
        def note(ctx: Context) -> str:
            Note._default_manager.create(text=ctx.message)
            return f"{Note._default_manager.using('default').count()} note"

        assert testing.run("note", "hello").response == "1 note"


def test_workflows_speak_the_language_of_the_project(by_key: Client) -> None:
    from django.utils import translation

    @workflow("which")
    def which(ctx: Context) -> str:
        return str(translation.get_language())

    assert send(by_key, workflow="which").json()["response"] == "de"


def test_nothing_of_a_send_hangs_on_the_transaction_of_a_request(by_key: Client) -> None:
    @workflow("inside")
    def inside(ctx: Context) -> str:
        return str(len(connection.atomic_blocks))

    # The test's own two, and no third.
    assert send(by_key, workflow="inside").json()["response"] == str(len(connection.atomic_blocks))
