"""A message of the AI SDK: one job's words, or those of several jobs, each a decision later.

Which job goes on with whose message stands in the rows, so a client that comes back finds the
message as it was, whoever decided, and where.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from django.db.models import Q
from rest_framework.request import Request

from chatflow.access.scopes import visible_turns
from chatflow.dialects import BREAK, Encoding
from chatflow.dialects.ai_sdk import ENDING, AiSdk, decision, start
from chatflow.dialects.ids import answer_id
from chatflow.streams import following
from chatflow.workflows.models import ApprovalRequest, Job

# Decisions that are no message of the user's.
Via = ApprovalRequest.Via
ELSEWHERE = (Via.API, Via.ADMIN)


@dataclass(frozen=True)
class Part:
    """A job's part of a message.

    Args:
        job: the job.
        approval: what was decided in front of it; None for the first.
    """

    job: Job
    approval: ApprovalRequest | None = None


def parts_up_to(request: Request, job: Job) -> list[Part]:
    """Return the parts of the message that ends, so far, with *job*'s words."""
    # Most conversations with a workflow have no such decision, and need not be read.
    if job.root_id is None or not (decided := _decided(job.root_id)):
        return [Part(job)]
    turns = visible_turns(request, job.root_id).filter(pk__lt=job.pk)
    earlier = turns.select_related("session").defer("traceback", "input").order_by("-pk")
    return list(_walk_back(job, list(earlier), decided))[::-1]


def _decided(root_id: int) -> dict[int | None, ApprovalRequest]:
    """Return the requests of a conversation that were decided, by the job that asked."""
    asked = ApprovalRequest.objects.filter(Q(job=root_id) | Q(job__root=root_id))
    return {row.job_id: row for row in asked.filter(via__in=ELSEWHERE)}


def _walk_back(
    job: Job, earlier: Sequence[Job], decided: dict[int | None, ApprovalRequest]
) -> Iterator[Part]:
    origin = job
    for asking in earlier:
        if asking.pk == origin.retry_of_id:
            # What it said is said anew.
            origin = asking
        elif asking.pk in decided:
            yield Part(job, decided[asking.pk])
            job = origin = asking
        else:
            break
    yield Part(job)


def whole(parts: Sequence[Part]) -> tuple[Encoding, bytes]:
    """Return a message from its start, and the encoding of its last part."""
    said: list[bytes] = []
    for number, part in enumerate(parts, 1):
        encoding, frames = _encode(part, number)
        said = [*said[: -len(ENDING)], *frames]
    return encoding, start(answer_id(parts[0].job.public_id), parts[-1].job) + b"".join(said)


def continued(parts: Sequence[Part], message: str | None) -> tuple[Encoding, bytes]:
    """Return the last part alone, for a client that has the others, and its encoding.

    Args:
        parts: of the message.
        message: the id by which the client knows it; None where it is ours.
    """
    encoding, frames = _encode(parts[-1], len(parts))
    begin = start(message or answer_id(parts[0].job.public_id), parts[-1].job)
    return encoding, begin + b"".join(frames)


def _encode(part: Part, number: int) -> tuple[Encoding, list[bytes]]:
    """Return a part's frames so far; of words that were taken back those that stand."""
    restarts = 0
    while True:
        dialect = AiSdk(part.job, number=number, restarts=restarts)
        encoding, frames = following.encode(part.job, dialect)
        if BREAK not in frames:
            break
        restarts += frames.count(BREAK)
    asked = part.approval
    if asked is not None:
        frames.insert(0, decision(asked.public_id, bool(asked.approved), asked.reason))
    return encoding, frames
