"""Tasks: the conversations of a user with one workflow each. A turn of a task is a job."""

from collections.abc import Iterable
from typing import Any

from django.db.models import Exists, F, OuterRef, Q
from rest_framework.request import Request

from chatflow.access.scopes import reach_of, visible_jobs, visible_turns
from chatflow.answers import bodies
from chatflow.answers.latest import latest
from chatflow.dialects import a2a
from chatflow.dialects.a2a import Names, Standing
from chatflow.dialects.ids import hex_of
from chatflow.dialects.words import Words
from chatflow.endpoints.speaking import job_called
from chatflow.wire.addresses import placed
from chatflow.workflows import services
from chatflow.workflows.exceptions import JobNotFound
from chatflow.workflows.models import Job, JobQuerySet, Message, State

JSON = dict[str, Any]
# The most messages of a task that are shown.
HISTORY = 100
ENDED = (a2a.COMPLETED, a2a.FAILED, a2a.CANCELED)

ASKS = Q(state=State.COMPLETED, awaiting__isnull=False)
OPEN = Q(session__open_job=F("pk"))
# The turns at which a task stands so.
STANDING = {
    a2a.SUBMITTED: Q(state=State.QUEUED),
    a2a.WORKING: Q(state=State.PROCESSING),
    a2a.INPUT_REQUIRED: ASKS & OPEN,
    a2a.COMPLETED: Q(state=State.COMPLETED, awaiting__isnull=True),
    a2a.FAILED: Q(state__in=(State.FAILED, State.TIMEOUT)),
    a2a.CANCELED: Q(state=State.CANCELLED) | ASKS & ~OPEN,
}


def find(request: Request, task_id: str) -> Job:
    """Return the turn that a task of the user's is at.

    Args:
        request: whose token may be for one workflow only.
        task_id: the public id of its first job; that of another one serves as well: a message that
            had to wait may have become the answer to a question.

    Raises:
        JobNotFound: there is none.
    """
    turns = visible_turns(request, job_called(request, task_id).conversation_id)
    turn = turns.select_related("session", "root").order_by("-pk").first()
    if turn is None:
        raise JobNotFound
    return turn


def latest_turns(request: Request) -> JobQuerySet:
    """Return the turns that the user's tasks are at."""
    later = Job.objects.filter(
        Q(root=OuterRef("root")) | Q(root=OuterRef("pk")), pk__gt=OuterRef("pk")
    )
    return visible_jobs(request).filter(~Exists(later)).select_related("session", "root")


def state_of(turn: Job) -> str:
    """Return A2A's word for how a task stands.

    Args:
        turn: the one that it is at, read with its session.
    """
    if turn.state == State.COMPLETED and turn.awaiting:
        # A question that was dropped will not be answered any more.
        is_open = turn.session.open_job_id == turn.pk
        return a2a.INPUT_REQUIRED if is_open else a2a.CANCELED
    return a2a.STATES[turn.state]


def standing_of(turn: Job, words: str | None) -> Standing:
    """Return how a task stands.

    Args:
        turn: the one that it is at, read with its session.
        words: of its answer.
    """
    now = Standing(
        state=a2a.STATES[turn.state],
        since=turn.updated_at,
        progress=turn.progress,
        line=turn.progress_message,
        words=None if words is None else Words(words),
    )
    if turn.is_finished:
        error, code = bodies.failure(turn)
        told = {"response": turn.response, "awaiting": turn.awaiting, "error": error, "code": code}
        now.end(turn.state, told | {name: placed(cited) for name, cited in _cited(turn)})
        if now.state != state_of(turn):
            now.state, now.parts = a2a.CANCELED, []
    elif turn.progress_message:
        now.parts, now.said = [{"text": turn.progress_message}], f"_{turn.last_seq}"
    return now


def _cited(turn: Job) -> Iterable[tuple[str, list[JSON]]]:
    return ("sources", turn.sources), ("actions", turn.actions)


def answers_of(turns: list[Job]) -> dict[int, str]:
    """Return the answers of turns, as far as they are there, by the jobs' primary keys."""
    whole = {turn.pk: turn.response for turn in turns if state_of(turn) == a2a.COMPLETED}
    return whole | services.shown_words([turn for turn in turns if turn.pk not in whole])


def describe(turn: Job, task_id: str = "", history: int = 0) -> JSON:
    """Return a task as A2A shows it.

    Args:
        turn: the one that it is at, read with its session and its root.
        task_id: the id that the client knows it by; by default its own.
        history: how many of its latest messages are wanted.
    """
    names = Names.of(turn, task_id)
    task = a2a.task(names, standing_of(turn, answers_of([turn]).get(turn.pk)))
    return {**task, "history": _history(turn, names, history)} if history else task


def limit_history(request: Request, wanted: int) -> int:
    """Return how many messages of a task are shown: none by a token that reads no conversations."""
    return wanted if reach_of(request).lists else 0


def _history(turn: Job, names: Names, most: int) -> list[JSON]:
    begun = turn.conversation_id
    said = Message.objects.filter(Q(job=begun) | Q(job__root=begun), cut=False)
    rows = latest(said.select_related("job"), min(most, HISTORY))
    return [_message(each, names) for each in rows]


def _message(row: Message, names: Names) -> JSON:
    turn = hex_of(row.job.public_id) if row.job else ""
    is_user = row.role == Message.Role.USER
    return {
        "messageId": f"{'user' if is_user else 'msg'}_{turn}",
        **names.address,
        "role": "ROLE_USER" if is_user else "ROLE_AGENT",
        "parts": [{"text": row.content}],
    }
