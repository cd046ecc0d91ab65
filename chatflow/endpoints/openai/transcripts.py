"""Finding a conversation by what was said in it, for clients that know no names for theirs."""

from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Max, Sum
from django.db.models.functions import Length
from rest_framework.request import Request

from chatflow.access.scopes import visible_jobs
from chatflow.dialects.openai import has_been_said
from chatflow.dialects.questions import in_words
from chatflow.endpoints.openai.asking import words_of
from chatflow.workflows.models import Job, Message

# How many of the user's latest jobs are looked at. The sessions in which one of them answers the
# transcript's latest message are candidates; of so many of these the messages are measured, and of
# so many that could be it they are read.
JOBS = 200
CANDIDATES = 20
READ = 3
# Characters around each message that a client may have trimmed.
TRIMMED = 20
ROLES = (Message.Role.USER, Message.Role.ASSISTANT)


@dataclass(frozen=True, kw_only=True)
class Turn:
    """What one of the two has said, as the client has it."""

    role: str
    text: str


def read(messages: list[Any]) -> list[Turn]:
    """Return what was said in a client's messages, without system prompts, tools and silence."""
    turns = [
        Turn(role=each["role"], text=words_of(each.get("content")).strip())
        for each in messages
        if isinstance(each, dict) and each.get("role") in ROLES
    ]
    return [turn for turn in turns if turn.text]


def find(request: Request, turns: list[Turn]) -> str | None:
    """Return the name of the user's latest conversation in which just *turns* were said, if any.

    Three queries, however many conversations and messages there are.
    """
    latest = next((turn.text for turn in reversed(turns) if turn.role == Message.Role.USER), None)
    # PostgreSQL refuses to even look for a NUL.
    if latest is None or "\0" in latest:
        return None
    candidates = _measured(_candidates(request, latest), turns)
    told: dict[int, list[Message]] = {each: [] for each in candidates[:READ]}
    said = Message.objects.filter(session__in=told, cut=False).select_related("session", "job")
    for message in said.order_by("pk"):
        told[message.session_id].append(message)
    for messages in told.values():
        if _is(messages, turns):
            return messages[0].session.key
    return None


def _candidates(request: Request, latest: str) -> list[int]:
    """Return the sessions in which *latest* was said lately, the latest first."""
    jobs = visible_jobs(request).order_by("-created_at")[:JOBS]
    said = Job.objects.filter(pk__in=jobs.values("pk"), text=latest).order_by()
    rows = said.values("session").annotate(at=Max("pk")).order_by("-at")
    return [row["session"] for row in rows[:CANDIDATES]]


def _measured(sessions: list[int], turns: list[Turn]) -> list[int]:
    """Return those of *sessions* that may have these messages, by their number and length."""
    most = sum(len(turn.text) + TRIMMED for turn in turns)
    said = Message.objects.filter(session__in=sessions, cut=False).order_by().values("session")
    measured = said.annotate(messages=Count("pk"), length=Sum(Length("content")))
    numbers = (len(turns), len(turns) - 1)
    fitting = measured.filter(messages__in=numbers, length__lte=most).values_list(
        "session", flat=True
    )
    found = set(fitting)
    return [each for each in sessions if each in found]


def _is(messages: list[Message], turns: list[Turn]) -> bool:
    """Say whether *turns* are what a client has been shown of *messages*."""
    job = messages[-1].job
    if turns[-1].role == Message.Role.ASSISTANT and job is not None and not job.is_finished:
        # The client has left in the middle of an answer, which is no message yet.
        turns = turns[:-1]
    return len(messages) == len(turns) and all(map(_is_of, messages, turns))


def _is_of(message: Message, turn: Turn) -> bool:
    if message.role != turn.role:
        return False
    if message.role == Message.Role.USER:
        return message.content.strip() == turn.text
    asked = message.job.awaiting if message.job is not None else None
    # Other words may have been streamed in front of it.
    return has_been_said(in_words(message.content, asked), turn.text)
