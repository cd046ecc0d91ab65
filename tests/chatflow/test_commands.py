"""The site's management commands."""

import os
import re
import shutil
import socket
import sys
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from a2wsgi import WSGIMiddleware
from django.contrib.auth.models import User
from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler
from django.core.handlers.asgi import ASGIHandler
from django.core.management import CommandError, call_command, get_commands, load_command_class
from django.core.management.commands.check import Command as Check
from django.db import ProgrammingError
from django.test import Client
from django.utils import timezone

from chatflow.asgi import application as site
from chatflow.development import SiteFailed
from chatflow.management.commands import dev, runserver, seed_demo
from chatflow.models import Token
from chatflow.operations import audit
from chatflow.operations.models import Act
from chatflow.serving.front import Front
from chatflow.web import with_streams
from chatflow.workflows.commands import DatabaseCommand
from chatflow.workflows.knowledge.models import Document
from tests.configure import configure
from tests.servers import HOST, free_port

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.django_db


def output(*args: Any, **options: Any) -> str:
    out = StringIO()
    call_command(*args, stdout=out, **options)
    return out.getvalue()


def test_create_token(alice: User) -> None:
    lines = output("create_token", "alice").splitlines()
    client = Client(headers={"Authorization": f"Bearer {lines[-1]}"})
    assert client.get("/ai-demo/workflow/jobs").status_code == 200


@pytest.mark.parametrize(
    "error",
    [
        "no such table: auth_user",
        'relation "auth_user" does not exist\nLINE 1: …',
        "no such column: chatflow_token.scope",
        "column chatflow_token.scope does not exist",
    ],
)
def test_a_database_that_was_not_migrated(error: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str) -> None:
        raise ProgrammingError(error)

    monkeypatch.setattr("chatflow.management.commands.create_token.find_user", fail)
    with pytest.raises(CommandError, match=r"^.*: run manage\.py migrate$"):
        output("create_token", "alice")


def test_all_commands_say_so() -> None:
    """But a cluster's, which waits for its database, those that run others, and Django's."""
    ours = {name: app for name, app in get_commands().items() if str(app).startswith("chatflow")}
    commands = {name: load_command_class(str(app), name) for name, app in ours.items()}
    others = {name for name, each in commands.items() if not isinstance(each, DatabaseCommand)}
    assert others == {
        *("qcluster", "queue_work", "dev", "runserver", "prepare_demo"),
        *("migrate", "flush", "doctor"),
    }


def test_a_setting_that_is_wrong_is_one_line(
    settings: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(settings, QUEUE_CONNECTION=7)
    told = "CHATFLOW['QUEUE_CONNECTION'] must be one word, not 7. The default is 'database'."
    with pytest.raises(SystemExit):
        Check().run_from_argv(["manage.py", "check"])
    assert capsys.readouterr().err == f"WrongValue: {told}\n"


def test_a_token_lives_for_so_many_days(alice: User) -> None:
    output("create_token", "alice", "--days", "2")
    left = Token.objects.get().expiry - timezone.now()
    assert timedelta(days=1.9) < left <= timedelta(days=2)


def test_create_token_clears_away_expired_ones(alice: User) -> None:
    output("create_token", "alice")
    Token.objects.update(expiry=timezone.now() - timedelta(days=1))
    output("create_token", "alice")
    assert Token.objects.count() == 1


def test_create_token_makes_a_user_if_told_to() -> None:
    with pytest.raises(CommandError, match="--create"):
        output("create_token", "zoe")
    output("create_token", "zoe", "--create")
    assert not User.objects.get(username="zoe").has_usable_password()


@pytest.mark.parametrize("days", ["0", "-1", "x", "366", "99999999", "9" * 5000])
def test_create_token_with_wrong_days(alice: User, days: str) -> None:
    with pytest.raises(CommandError, match="at least 1 and at most 365"):
        output("create_token", "alice", f"--days={days}")


def test_create_token_with_too_long_a_name(alice: User) -> None:
    output("create_token", "alice", f"--name={'x' * 100}")
    with pytest.raises(CommandError, match="--name must have at most 100 characters"):
        output("create_token", "alice", f"--name={'x' * 101}")
    with pytest.raises(CommandError, match="at most 150 characters"):
        output("create_token", "x" * 151, "--create")


def test_create_token_makes_no_user_without_a_token() -> None:
    with pytest.raises(CommandError, match="There is no workflow"):
        output("create_token", "zoe", "--create", "--workflow=nope")
    assert not User.objects.exists()


def test_revoke_tokens(alice: User, bob: User) -> None:
    token = output("create_token", "alice").strip()
    output("create_token", "bob")
    assert output("revoke_tokens", "alice") == "Revoked 1 token and every link of alice.\n"
    assert output("revoke_tokens", "alice").startswith("Revoked 0 tokens")
    client = Client(headers={"Authorization": f"Bearer {token}"})
    assert client.get("/ai-demo/workflow/jobs").status_code == 401
    assert Token.objects.get().user == bob


def test_revoke_tokens_of_nobody() -> None:
    with pytest.raises(CommandError):
        output("revoke_tokens", "nobody")


PASSWORD = re.compile(r"^The password of (\w+) is (\w+)$", re.M)


@pytest.fixture
def no_documents(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the documentation out, which takes seconds."""
    monkeypatch.setattr(seed_demo, "call_command", lambda *args, **options: None)


def test_seed_demo_can_be_repeated() -> None:
    first, second = output("seed_demo"), output("seed_demo")
    assert re.search(r"(\d+) documents, \1 of them new", first)
    assert " documents, 0 of them new" in second
    passwords = dict(PASSWORD.findall(first))
    assert PASSWORD.findall(second) == []
    demo, admin = User.objects.order_by("-username")
    assert (demo.username, demo.is_staff) == ("demo", False)
    assert (admin.username, admin.is_superuser) == ("admin", True)
    for name, password in passwords.items():
        assert Client().login(username=name, password=password)
        assert not Client().login(username=name, password=name)
    assert len(set(passwords.values())) == 2


def test_the_demo_does_not_answer_with_other_products_words() -> None:
    names = [path.name for path in seed_demo.list_documentation(ROOT)]
    assert {"README.md", "operate.md", "tutorial"} < set(names)
    assert "coming-from" not in names


def test_seed_demo_forgets_what_is_gone(settings: Any, tmp_path: Path, alice: User) -> None:
    docs = tmp_path / "docs"
    pages = [tmp_path / "README.md", docs / "a.md", docs / "b.md", docs / "tutorial/1.md"]
    for page in pages:
        page.parent.mkdir(exist_ok=True)
        page.write_text(f"# {page.name}\nWords.")
    other = tmp_path / "other.md"
    other.write_text("# Other\nWords.")
    settings.BASE_DIR = tmp_path
    output("ingest", str(other), str(docs / "a.md"), user="alice")
    output("ingest", str(other))
    output("seed_demo", no_users=True)
    pages[1].unlink()
    shutil.rmtree(docs / "tutorial")
    output("seed_demo", no_users=True)
    shared = Document.objects.filter(owner=None).values_list("path", flat=True)
    assert set(shared) == {str(path) for path in (pages[0], pages[2], other)}
    assert Document.objects.filter(owner=alice).count() == 2


def test_seed_demo_replaces_known_passwords(no_documents: None) -> None:
    """Those that earlier versions gave; not one that somebody has chosen."""
    User.objects.create_user("demo", password="demo")
    User.objects.create_superuser("admin", password="of my own")
    passwords = dict(PASSWORD.findall(output("seed_demo")))
    assert passwords.keys() == {"demo"}
    assert Client().login(username="demo", password=passwords["demo"])
    assert not Client().login(username="demo", password="demo")
    assert Client().login(username="admin", password="of my own")


def test_seed_demo_makes_nobody_beside_others(alice: User, no_documents: None) -> None:
    assert PASSWORD.findall(output("seed_demo")) == []
    assert User.objects.get() == alice


def test_seed_demo_makes_nobody_where_others_come(no_documents: None) -> None:
    output("seed_demo", no_users=True)
    assert not User.objects.exists()


def test_prepare_demo_says_how_to_get_in(
    no_documents: None, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    found = []
    for _ in range(2):
        said = output("prepare_demo")
        [token] = re.findall(r"^The token of demo is (\S+)$", said, re.M)
        [link] = re.findall(r"^The link of demo is (\S+)$", said, re.M)
        found.append((PASSWORD.findall(said), token))

    assert client.get(link)["Location"] == "/ai-demo/chat/"
    (passwords, stale), (none, token) = found
    assert dict(passwords).keys() == {"demo", "admin"}
    assert none == []
    for each, status in ((stale, 401), (token, 200)):
        headers = {"Authorization": f"Bearer {each}"}
        assert Client(headers=headers).get("/ai-demo/workflow/jobs").status_code == status
    # The terminal isn't told twice; whoever asks later is.
    assert not [each for each in caplog.records if each.name == audit.__name__]
    assert Act.objects.filter(act="Make a token").count() == 2


def test_prepare_demo_lets_nobody_in_where_others_come(no_documents: None) -> None:
    assert output("prepare_demo", no_users=True) == ""


def test_runserver_is_the_one_that_streams() -> None:
    assert get_commands()["runserver"] == "chatflow"
    assert runserver.application(use_static_handler=True) is site


async def own(scope: Any, receive: Any, send: Any) -> None:
    """A project's ASGI application."""


with_their_streams = with_streams(own)


def own_wsgi(environ: Any, start_response: Any) -> list[bytes]:
    return []


def test_runserver_gives_a_project_its_streams(settings: Any) -> None:
    def served(name: str, **options: Any) -> Any:
        settings.ASGI_APPLICATION = f"{__name__}.{name}"
        if not name:
            del settings.ASGI_APPLICATION
        return runserver.application(**options)

    assert served("with_their_streams") is with_their_streams
    assert served("own").application is own
    settings.WSGI_APPLICATION = None
    assert type(served("").application) is ASGIHandler
    settings.WSGI_APPLICATION = "chatflow.wsgi.application"
    assert type(served("").application) is ASGIHandler
    settings.WSGI_APPLICATION = f"{__name__}.own_wsgi"
    assert type(served("").application) is WSGIMiddleware


def test_runserver_serves_static_files_while_developing(settings: Any) -> None:
    settings.ASGI_APPLICATION = f"{__name__}.own"
    for debug, options, is_served in (
        (True, {}, True),
        (False, {}, False),
        (False, {"insecure_serving": True}, True),
        (True, {"use_static_handler": False}, False),
    ):
        settings.DEBUG = debug
        found: Any = runserver.application(**{"use_static_handler": True, **options})
        assert isinstance(found, ASGIStaticFilesHandler) is is_served
        assert isinstance(found.application, Front) is is_served


@pytest.fixture
def sites(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Return what collects the arguments of the sites that run; their web servers fail."""
    made: list[dict[str, Any]] = []

    class Made:
        def __init__(self, **options: Any) -> None:
            made.append(options)

        def run(self, prepare: Any, greet: Any) -> None:
            for each in made[-1]["sockets"]:
                each.close()
            raise SiteFailed("the web server ended by itself (exit status 1).")

    monkeypatch.setattr(dev, "Site", Made)
    monkeypatch.setattr(sys, "argv", [str(ROOT / "manage.py"), "dev"])
    return made


def test_dev_runs_the_project_of_its_manage_py(sites: list[dict[str, Any]]) -> None:
    port = free_port()
    with pytest.raises(CommandError, match=r"^the web server ended by itself"):
        output("dev", "--port", str(port))
    [options] = sites
    assert (options["root"], options["manage"], options["host"]) == (ROOT, "manage.py", HOST)
    assert len(options["sockets"]) == 1
    # As `startproject` has made it; no setting needs to name it.
    assert options["application"] == "chatflow.asgi:application"
    # As for all processes of these tests.
    assert str(options["env_file"]) == os.devnull


def test_dev_refuses_a_port_in_use(sites: list[dict[str, Any]]) -> None:
    with socket.create_server((HOST, 0)) as server:
        with pytest.raises(CommandError, match="is in use; choose another one"):
            output("dev", "--port", str(server.getsockname()[1]))
    assert sites == []
