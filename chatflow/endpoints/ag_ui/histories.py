"""The messages of a thread, for a client that keeps messages of its own.

Such a client updates those that it knows by their ids where they are, puts new ones behind all
others, and drops what it isn't told of.
"""

from collections.abc import Hashable, Mapping

from rest_framework.request import Request

from chatflow.access.scopes import reach_of
from chatflow.answers.latest import latest
from chatflow.dialects.ag_ui import JSON, Thread, message_id
from chatflow.dialects.ids import answer_id
from chatflow.dialects.questions import in_words
from chatflow.endpoints.ag_ui.inputs import text_of
from chatflow.endpoints.ag_ui.pairs import pair
from chatflow.workflows.models import Job, Message
from chatflow.workflows.services import turns

# The most messages that are told, and of the client's that are compared with them.
MESSAGES = 500
# The client's own, beside those of the conversation.
OTHERS = ("system", "developer", "tool")


def as_sent(messages: list[JSON]) -> Thread:
    """Return the thread as its client has it, when a run begins."""
    return Thread.of(_of_roles(messages, ("user", "assistant", *OTHERS)), [])


def as_stored(request: Request, job: Job, messages: list[JSON]) -> Thread:
    """Return the thread of *job* as it is stored, but for the job's own answer.

    Args:
        request: who asks; a token for one workflow is told that workflow's messages.
        job: the user's own.
        messages: the client's, whose ids it keeps.
    """
    before, after = _stored(request, job)
    answer = {"id": answer_id(job.public_id), "role": "assistant"}
    told = adopt([*before, answer, *after], answer, messages[-MESSAGES:])
    place = [each["id"] for each in told].index(answer["id"])
    others = _of_roles(messages, OTHERS)
    return Thread.of([*others, *told[:place]], told[place + 1 :])


def adopt(told: list[JSON], answer: JSON, messages: list[JSON]) -> list[JSON]:
    """Return what a client is told, by the ids by which it knows the messages.

    Those that it doesn't know are left out where one that it knows follows: it would show them
    behind that. But not the answer that it asks for.

    Args:
        told: the messages of the thread.
        answer: the one of them that is the run's.
        messages: the client's.
    """
    ids = dict(pair(list(map(_key, told)), list(map(_key, messages))))
    last = max(ids, default=-1)
    return [
        {**message, "id": messages[ids[at]]["id"]} if at in ids else message
        for at, message in enumerate(told)
        if at in ids or at > last or message is answer
    ]


def _key(message: JSON) -> Hashable:
    """Return what a message is known by: the user's by its words, another one by its id."""
    if message.get("role") == "user" and isinstance(message.get("id"), str):
        return "user", text_of(message)
    return "id", str(message.get("id"))


def _stored(request: Request, job: Job) -> tuple[list[JSON], list[JSON]]:
    """Return the messages in front of the answer of *job*, and those behind it."""
    session = job.session
    found = session.messages.filter(cut=False)
    reach = reach_of(request)
    if reach.workflow:
        found = found.filter(job__workflow=reach.workflow)
    if not reach.lists:
        found = found.filter(job=job)
    rows = latest(found, MESSAGES)
    jobs = turns.load_jobs(session, rows)
    rows = turns.in_order(rows, jobs)
    turn = turns.find_origin(job.pk, jobs)
    # Behind the last message of its own turn; of a turn that left none, behind all.
    place = len(rows)
    for at, row in enumerate(rows, 1):
        if row.job_id is not None and turns.find_origin(row.job_id, jobs) == turn:
            place = at
    parts = rows[:place], rows[place:]
    before, after = (
        [_message(row, jobs) for row in part if not _answers(row, job)] for part in parts
    )
    return before, after


def _answers(row: Message, job: Job) -> bool:
    return row.role == Message.Role.ASSISTANT and row.job_id == job.pk


def _message(row: Message, jobs: Mapping[int, Job]) -> JSON:
    job = jobs.get(row.job_id) if row.job_id is not None else None
    if row.role == Message.Role.ASSISTANT:
        name = f"message_{row.pk}" if job is None else answer_id(job.public_id)
        awaiting = None if job is None else job.awaiting
        return {"id": name, "role": "assistant", "content": in_words(row.content, awaiting)}
    name = f"message_{row.pk}" if job is None else message_id(job.public_id)
    return {"id": name, "role": "user", "content": row.content}


def _of_roles(messages: list[JSON], roles: tuple[str, ...]) -> list[JSON]:
    """Return the client's messages of these roles as it has sent them; no field may be null."""
    return [
        {name: value for name, value in message.items() if value is not None}
        for message in messages
        if message.get("role") in roles and isinstance(message.get("id"), str)
    ]
