"""A site under development: a web server and a cluster, which new code succeeds at an edit."""

import select
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from chatflow.development import MISTAKE, SITE, SiteFailed
from chatflow.development.addresses import bracketed, reachable
from chatflow.development.edits import Edits
from chatflow.development.mistakes import shorten, summarize
from chatflow.development.note import Note
from chatflow.development.servers import Server, die_with_parent, stop
from chatflow.development.stopping import StopRequest
from chatflow.development.words import say

T = TypeVar("T")

WEB_SERVER = "web server"

# Seconds in which the first servers must have loaded the code, once all is prepared, and then the
# web server must answer; anew from each edit.
START_SECONDS = 60.0
# Seconds between two looks at whether the servers live; and whether those that were succeeded do,
# or the first web server answers.
LOOK = 0.2
LOOK_AFTER = 0.05
LOOK_FOR_RESPONSE = 0.1
# Seconds after which a web server that was succeeded answers nobody new, though it has not ended.
STEP_BACK_SECONDS = 2.0
# Seconds that a server has to end after it was succeeded: a sync job may keep it.
LEAVE_SECONDS = 130.0


class Site:
    """The servers, and who watches the code.

    Args:
        root: the project's folder.
        manage: its manage.py, as the cluster's command line is to name it.
        application: its ASGI application, as uvicorn has it: ``mysite.asgi:application``.
        env_file: its `.env`.
        host: where it listens.
        sockets: those that are bound there.
        environment: of the servers.
        prefix: what stands before the site's paths.
        checks_itself: the application makes Django's checks when it is loaded, as this checkout's
            does; else the cluster makes them.

    Attributes:
        url: where it can be reached from this machine, without the prefix.
        prefix: what stands before its paths.
    """

    def __init__(
        self,
        *,
        root: Path,
        manage: str,
        application: str,
        env_file: Path,
        host: str,
        sockets: Sequence[socket.socket],
        environment: dict[str, str],
        prefix: str = "",
        checks_itself: bool = False,
    ) -> None:
        self.url = f"http://{bracketed(reachable(host))}:{sockets[0].getsockname()[1]}"
        self.prefix = prefix
        self._note = Note()
        self._options: dict[str, Any] = {
            "root": root,
            "environment": environment | {SITE: self.url + prefix, MISTAKE: str(self._note.path)},
        }
        descriptors = [str(each.fileno()) for each in sockets]
        web = [sys.executable, "-m", "chatflow.development.web", application, *descriptors]
        # Jobs are given back at once, and go on at their last steps.
        cluster = [sys.executable, manage, "qcluster", "--grace=0"]
        if checks_itself:
            cluster.append("--skip-checks")
        self._roles = [(WEB_SERVER, web, sockets), ("cluster", cluster, ())]
        self._root = root
        self._request = StopRequest()
        self._edits = Edits(root, env_file)
        self._servers: list[Server] = []
        self._successors: list[Server] = []
        # Those that have been succeeded, with the moments by which they must have ended.
        self._leaving: list[tuple[Server, float]] = []
        # What was wrong with the syntax of the last edit.
        self._mistake = ""
        self._edited_at = 0.0
        # When the code was edited that runs now, and from when on it answers all; until that is
        # said.
        self._news: tuple[float, float] | None = None

    def run(self, prepare: Callable[[StopRequest], T], greet: Callable[[T], None]) -> None:
        """Run the site until it is told to stop.

        Args:
            prepare: called while the servers load the code, which they do again after an edit;
                they begin when it has returned. It is to return soon when the request is made.
            greet: called with what that has returned, when the site is ready.

        Raises:
            SiteFailed: a server can't load the code that was there, or takes too long; or one
                ended by itself, or the web server doesn't answer.
        """
        self._request.obey_signals()
        with self._stopped_at_last():
            # As long as there is no other thread, it's safe to fork with code to be run.
            self._successors = list(self._start(preexec_fn=die_with_parent))
            self._edits.start()
            prepared = prepare(self._request)
            self._wait_for_servers()
            self._wait_for_response()
            if not self._request.is_made:
                greet(prepared)
            while not self._request.is_made:
                self._look()

    @contextmanager
    def _stopped_at_last(self) -> Iterator[None]:
        try:
            yield
        finally:
            say("Stopping")
            self._edits.close()
            self._note.close()
            self._dismiss_successors()
            stop([*self._servers, *(server for server, _ in self._leaving)], self._request)

    def _wait_for_servers(self) -> None:
        began = time.monotonic()
        while not (self._servers or self._request.is_made):
            # Where those after an edit have failed there are none, and the next edit is waited for.
            late = [each for each in self._successors if not each.is_ready]
            if late and self._is_late(began):
                late[0].kill()
                told = shorten(late[0].said, self._root)
                raise SiteFailed(
                    f"the {late[0].name} did not load the code within {START_SECONDS:.0f} seconds."
                    f"\n{told}"
                )
            self._look()

    def _wait_for_response(self) -> None:
        began = time.monotonic()
        while not self._request.is_made and not responds(f"{self.url}/healthz"):
            if self._is_late(began):
                raise SiteFailed(
                    f"the web server did not answer {self.url}/healthz"
                    f" within {START_SECONDS:.0f} seconds."
                )
            self._look(LOOK_FOR_RESPONSE)

    def _is_late(self, began: float) -> bool:
        return time.monotonic() >= max(began, self._edited_at) + START_SECONDS

    def _look(self, seconds: float = LOOK) -> None:
        """Wait until something happens, but not for long, and see to it."""
        waiting = [each for each in self._successors if not each.is_ready]
        watched: list[StopRequest | Edits | Server] = [self._request, self._edits, *waiting]
        ready, _, _ = select.select(watched, [], [], LOOK_AFTER if self._leaving else seconds)
        for successor in waiting:
            if successor in ready:
                successor.hear()
        if self._edits in ready:
            self._appoint_successors(self._edits.read(), self._edits.mistake)
        elif self._successors:
            self._see_to_successors()
        self._refuse_dead()
        self._see_off_leaving()
        self._tell_news()

    def _refuse_dead(self) -> None:
        for server in self._servers:
            if server.status is not None:
                raise SiteFailed(
                    f"the {server.name} ended by itself (exit status {server.status})."
                )

    def _appoint_successors(self, edited: str, mistake: str = "") -> None:
        """Start servers beside those that run. An edit may have made earlier ones stale.

        Args:
            edited: the files, in words.
            mistake: what is wrong with their syntax, which is told at once. Whether the site loads
                such a file is found out all the same.
        """
        self._dismiss_successors()
        self._edited_at = time.monotonic()
        say(f"Edited: {edited}")
        self._mistake = mistake
        if mistake:
            self._refuse(mistake)
        self._successors = list(self._start())

    def _start(self, **options: Any) -> Iterator[Server]:
        for name, command, sockets in self._roles:
            yield Server(name, command, sockets=sockets, **self._options, **options)

    def _dismiss_successors(self) -> None:
        for successor in self._successors:
            successor.kill()
        self._successors = []

    def _see_to_successors(self) -> None:
        """Let them succeed when all can; none of them does where one can't."""
        failed = [each for each in self._successors if each.has_failed]
        if failed:
            self._dismiss_successors()
            if not self._servers and not self._edited_at:
                told = shorten(failed[0].said, self._root) or f"Exit status {failed[0].status}."
                raise SiteFailed(f"the {failed[0].name} can't load the code.\n{told}")
            # The syntax was told already.
            if not self._mistake or summarize(failed[0].said) != summarize(self._mistake):
                self._refuse(failed[0].said)
        elif all(each.is_ready for each in self._successors):
            self._succeed()

    def _refuse(self, said: str) -> None:
        self._note.write(said, self._root)
        told = shorten(said, self._root)
        meanwhile = "the old code runs on" if self._servers else "nothing runs until it is mended"
        say(f"The new code can't be loaded; {meanwhile}.\n{told}")

    def _succeed(self) -> None:
        now = time.monotonic()
        for server in self._servers:
            server.terminate()
            self._leaving.append((server, now + LEAVE_SECONDS))
        self._note.erase()
        for successor in self._successors:
            successor.begin()
        for warnings in dict.fromkeys(shorten(each.said, self._root) for each in self._successors):
            if warnings:
                say(warnings)
        self._servers, self._successors = [*self._successors], []
        if self._leaving:
            self._news = self._edited_at, now + STEP_BACK_SECONDS

    def _see_off_leaving(self) -> None:
        for server, must_end in list(self._leaving):
            if server.status is not None or time.monotonic() >= must_end:
                server.kill()
                self._leaving.remove((server, must_end))

    def _tell_news(self) -> None:
        """Say that the new code runs, when nothing new is answered by the old."""
        if self._news is not None:
            edited_at, at_the_latest = self._news
            now = time.monotonic()
            # A cluster takes jobs until it has ended, which it does soon.
            kept = {server.name for server, _ in self._leaving}
            if not kept or (kept == {WEB_SERVER} and now >= at_the_latest):
                say(f"The new code runs, {now - edited_at:.1f} s after the edit.")
                self._news = None


def responds(url: str) -> bool:
    """Say whether a site answers. A 4xx is an answer too: ALLOWED_HOSTS may name others only."""
    # Straight to the server, whatever proxy the environment names.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        opener.open(url, timeout=2).close()
    except urllib.error.HTTPError as error:
        return error.code < 500
    except OSError:
        return False
    return True
