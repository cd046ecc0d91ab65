"""A conversation whose jobs run in the test's own thread, each message as soon as it is sent."""

from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from chatflow.workflows import services
from chatflow.workflows.models import Job, Session
from chatflow.workflows.store import lifecycle
from chatflow.workflows.testing import answers
from chatflow.workflows.testing.answers import OPEN
from chatflow.workflows.testing.script import Script
from chatflow.workflows.testing.stage import Log, staged
from chatflow.workflows.testing.time_travel import advance
from chatflow.workflows.testing.turns import Turn, make_turn
from chatflow.workflows.testing.worker import Crashes, lose_worker, run_waiting

# So often a job may be tried again before the test has had enough.
MOST_TRIES = 100
# Seconds that go on top of a delay, as a number of seconds is rounded.
SURELY = 0.01


class Conversation:
    """See the module.

    Args:
        user: whose it is.
        tenant: the organisation for which they act; empty for none.
        key: the session's.
        script: the model's answers.
        crash_after: the steps behind which the worker dies, once each.
    """

    def __init__(
        self, user: Any, tenant: str, key: str, script: Script, crash_after: Iterable[str]
    ) -> None:
        self.user = user
        self.tenant = tenant
        self.key = key
        self.jobs: list[Job] = []
        self._script = script
        self._log = Log(Crashes(*crash_after))

    def begin(self, message: str, given: Iterable[Any], **options: Any) -> Turn:
        """Send the first message, and answer the questions that follow.

        Args:
            message: its text.
            given: the answers.
            options: as services.start() takes them.
        """
        __tracebackhide__ = True
        self._take(partial(self._send, message, options))
        return self.go_on(given)

    def go_on(self, given: Iterable[Any]) -> Turn:
        """Answer the open questions, and return what came of it all."""
        # pytest shows the test's own line.
        __tracebackhide__ = True
        left = deque(given)
        while (question := self._find_question()) is not None:
            assert left, f"The workflow asks once more than the test answers: {question.response!r}"
            answer = left.popleft()
            if answer is OPEN:
                break
            self._take(partial(answers.give, answer, question))
        turn = make_turn(self.jobs, self._log, self._script.prompts, self.go_on)
        assert not left, f"Nobody asked for these answers: {list(left)}. It ended as {turn}"
        if question is None:
            self._check_end(turn)
        return turn

    def _check_end(self, turn: Turn) -> None:
        __tracebackhide__ = True
        unsaid, alive = list(self._script.answers), self._log.crashes.places
        assert not unsaid, f"The model was not asked for these answers: {unsaid}. {turn}"
        assert not alive, (
            f"No step called {alive[0]!r} was recorded to crash after, or not so often: it is "
            f"recorded once. {turn}"
        )

    def _send(self, message: str, options: dict[str, Any]) -> Job:
        start = partial(services.start, session_key=self.key, tenant=self.tenant)
        return start(self.user, message, **options).job

    def _take(self, send: Callable[[], Job]) -> None:
        """Send a message, and run its job to the end."""
        __tracebackhide__ = True
        with staged(self._log), self._script.played():
            job = send()
            self.jobs.append(job)
            _run_to_the_end(job)
        assert not self._script.failure, self._script.failure

    def _find_question(self) -> Job | None:
        mine = Session.objects.visible_to(self.user, self.tenant).filter(key=self.key)
        session = mine.select_related("open_job__user", "open_job__session").first()
        return session.open_job if session is not None else None


def _run_to_the_end(job: Job) -> None:
    """Run a job, through all its attempts; who would wait for the next one lets time pass."""
    for _ in range(MOST_TRIES):
        run_waiting()
        # An attempt that was lost still has its job.
        lose_worker()
        job.refresh_from_db()
        if job.is_finished:
            return
        delay = lifecycle.seconds_to_next((), is_async=job.is_async)
        if delay:
            advance(delay + SURELY)
    raise AssertionError(f"{job.workflow!r} was tried {MOST_TRIES} times, and has not ended.")
