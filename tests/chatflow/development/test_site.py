"""Who runs, and who succeeds whom. The processes are played; test_tooling.py has real ones."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chatflow.development import MISTAKE, SITE, SiteFailed
from chatflow.development import site as module
from chatflow.development.addresses import bind
from chatflow.development.site import Site
from tests.servers import HOST, free_port


class Played:
    """A server or a successor."""

    def __init__(self, name: str, command: list[str], **options: Any) -> None:
        self.name = name
        self.command = command
        self.options = options
        self.status: int | None = None
        self.is_ready = self.has_failed = False
        self.said = ""
        self.happened: list[str] = []

    def terminate(self) -> None:
        self.happened.append("terminated")

    def kill(self) -> None:
        self.happened.append("killed")
        if self.status is None:
            self.status = -9

    def begin(self) -> None:
        self.happened.append("began")


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Site]:
    monkeypatch.setattr(module, "Server", Played)
    sockets = bind(HOST, free_port())
    site = Site(
        root=tmp_path,
        manage="manage.py",
        application="chatflow.asgi:application",
        env_file=tmp_path / ".env",
        host=HOST,
        sockets=sockets,
        environment={"SECRET_KEY": "s"},
        prefix="/chat",
    )
    site._servers = [Played("web server", []), Played("cluster", [])]  # type: ignore[list-item]
    yield site
    site._note.close()
    for each in sockets:
        each.close()
    site._edits.close()
    site._request.close()


def successors(site: Site) -> list[Played]:
    return list(site._successors)  # type: ignore[arg-type]


def test_it_works(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    old: list[Any] = [*site._servers]
    site._appoint_successors("team/workflows.py")
    web, cluster = successors(site)
    assert "chatflow.development.web" in web.command
    assert (len(web.options["sockets"]), len(cluster.options["sockets"])) == (1, 0)
    # It makes Django's checks, which a project's own application doesn't.
    assert cluster.command[1:] == ["manage.py", "qcluster", "--grace=0"]
    # They know where the jobs' pages are.
    environment = {"SECRET_KEY": "s", SITE: f"{site.url}/chat", MISTAKE: str(site._note.path)}
    assert web.options["environment"] == environment
    web.is_ready = True
    site._see_to_successors()
    # One alone doesn't succeed: web server and cluster have the same code.
    assert web.happened == []
    cluster.is_ready = True
    site._see_to_successors()

    assert web.happened == cluster.happened == ["began"]
    assert [each.happened for each in old] == [["terminated"]] * 2
    assert [each.name for each in site._servers] == ["web server", "cluster"]
    assert not {*map(id, old)} & {*map(id, site._servers)}
    assert successors(site) == []
    # The old ones may still answer.
    site._tell_news()
    assert capsys.readouterr().out == "Edited: team/workflows.py\n"
    for each in old:
        each.status = 0
    site._see_off_leaving()
    site._tell_news()
    assert capsys.readouterr().out.startswith("The new code runs, 0.")
    site._tell_news()
    assert capsys.readouterr().out == ""


def test_what_is_said_at_loading_is_said_once(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    site._appoint_successors("team/workflows.py")
    for each in successors(site):
        each.is_ready, each.said = True, "A warning."
    site._see_to_successors()

    assert capsys.readouterr().out.count("A warning.") == 1


def test_a_mistake_in_the_syntax_is_told_at_once_and_once(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    place = f'  File "{site._root}/team/workflows.py", line 3'
    mistake = f"{place}\n    def (\nSyntaxError: invalid syntax"
    site._appoint_successors("team/workflows.py", mistake)
    assert "old code runs on" in capsys.readouterr().out
    assert json.loads(site._note.path.read_text())["place"] == "team/workflows.py:3"
    web, _ = successors(site)
    web.has_failed, web.said = True, f"Traceback (most recent call last):\n{mistake}"
    site._see_to_successors()
    assert capsys.readouterr().out == ""

    # A file that the site doesn't load keeps nothing from running.
    site._appoint_successors("team/draft.py", mistake)
    for each in successors(site):
        each.is_ready = True
    site._see_to_successors()
    assert not site._note.path.exists()


def test_one_that_fails(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    old: list[Any] = [*site._servers]
    site._appoint_successors("team/workflows.py")
    web, cluster = successors(site)
    web.is_ready = True
    cluster.has_failed, cluster.said = True, "NameError: name 'x' is not defined"
    site._see_to_successors()

    assert web.happened == cluster.happened == ["killed"]
    assert [*site._servers] == old
    assert [each.happened for each in old] == [[], []]
    assert capsys.readouterr().out.endswith("NameError: name 'x' is not defined\n")
    # The page is told too, until it is mended.
    assert site._note.path.exists()
    site._appoint_successors("team/workflows.py")
    for each in successors(site):
        each.is_ready = True
    site._see_to_successors()
    assert not site._note.path.exists()


def test_code_that_can_not_be_loaded_at_the_start(site: Site) -> None:
    site._servers = []
    site._successors = list(site._start())
    _, cluster = successors(site)
    cluster.has_failed, cluster.status = True, -11
    with pytest.raises(SiteFailed, match=r"^the cluster can't load the code\.\nExit status -11\.$"):
        site._see_to_successors()


def test_an_edit_while_the_first_servers_load(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who writes goes on writing: the site begins with the edit that is right."""
    site._servers = []
    site._successors = list(site._start())
    first = successors(site)
    site._appoint_successors("team/workflows.py")
    assert [each.happened for each in first] == [["killed"]] * 2
    web, _ = successors(site)
    web.has_failed, web.said = True, "NameError: name 'x' is not defined"
    site._see_to_successors()
    told = "The new code can't be loaded; nothing runs until it is mended.\nNameError: "
    assert told in capsys.readouterr().out

    site._appoint_successors("team/workflows.py")
    for each in successors(site):
        each.is_ready = True
    site._see_to_successors()
    assert len(site._servers) == 2
    site._tell_news()
    assert "The new code runs" not in capsys.readouterr().out


@pytest.mark.parametrize("is_edited", [False, True])
def test_code_that_never_comes_to_its_end(
    site: Site, monkeypatch: pytest.MonkeyPatch, is_edited: bool
) -> None:
    monkeypatch.setattr(module, "START_SECONDS", 0.0)
    monkeypatch.setattr(site, "_look", lambda: None)
    site._servers = []
    if is_edited:
        site._appoint_successors("team/workflows.py")
    else:
        site._successors = list(site._start())
    web, cluster = successors(site)
    web.is_ready, cluster.said = True, "Waiting for the licence server …"
    with pytest.raises(SiteFailed, match=r"^the cluster did not load (?s:.*)licence server …$"):
        site._wait_for_servers()
    assert cluster.happened == ["killed"]


def test_an_edit_gives_the_code_its_time_anew(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter([0.0, 70.0, 70.0, 200.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(moments))
    site._servers = []
    site._successors = list(site._start())

    def look() -> None:
        # 70 seconds after the start.
        site._edited_at = 65.0
        site._servers = [*site._successors]
        site._successors = []

    site._edited_at = 65.0
    monkeypatch.setattr(site, "_look", look)
    # They succeed in the very look in which they would be too late.
    site._wait_for_servers()
    assert len(site._servers) == 2


def test_an_edit_while_the_web_server_does_not_answer(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([False, False, True])
    monkeypatch.setattr(module, "responds", lambda url: next(answers))
    looks: list[float] = []
    monkeypatch.setattr(site, "_look", looks.append)
    site._wait_for_response()
    assert looks == [module.LOOK_FOR_RESPONSE] * 2


def test_another_edit_makes_them_stale(site: Site) -> None:
    site._appoint_successors("team/workflows.py")
    stale = successors(site)
    site._appoint_successors("team/models.py")

    assert [each.happened for each in stale] == [["killed"]] * 2
    assert not {*map(id, stale)} & {*map(id, successors(site))}


def test_one_that_is_kept_by_a_sync_job(
    site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    old: list[Any] = [*site._servers]
    site._appoint_successors("team/workflows.py")
    for each in successors(site):
        each.is_ready = True
    site._see_to_successors()
    with monkeypatch.context() as patch:
        patch.setattr(time, "monotonic", lambda: float("inf"))
        # The cluster might still take a job.
        site._tell_news()
    assert "The new code runs" not in capsys.readouterr().out
    old[1].status = 0
    site._see_off_leaving()
    assert [server for server, _ in site._leaving] == [old[0]]
    monkeypatch.setattr(time, "monotonic", lambda: float("inf"))
    # The web server answers nobody new.
    site._tell_news()
    assert "The new code runs" in capsys.readouterr().out
    site._see_off_leaving()

    assert old[0].happened == ["terminated", "killed"]
    assert site._leaving == []


def test_one_that_ends_by_itself(site: Site) -> None:
    server: Any = site._servers[1]
    server.status = 1
    with pytest.raises(SiteFailed, match=r"^the cluster ended by itself \(exit status 1\)\.$"):
        site._refuse_dead()


def test_nobody_answers() -> None:
    assert not module.responds(f"http://{HOST}:{free_port()}/healthz")
