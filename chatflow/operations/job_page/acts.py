"""What a member of the staff does on a job's page: each act is checked, done and recorded."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest

from chatflow.operations import audit
from chatflow.operations.job_page.timeline import own_name
from chatflow.operations.job_page.wording import decided
from chatflow.operations.roles import (
    FORM_HIDDEN,
    may_approve,
    may_decide,
    may_operate,
    may_read_texts,
)
from chatflow.wire.lengths import MESSAGE_LENGTH, REASON_LENGTH
from chatflow.workflows import services
from chatflow.workflows.exceptions import ChatflowError, InvalidForm, QuestionClosed
from chatflow.workflows.models import ApprovalRequest, Job, State, Step
from chatflow.workflows.running.questions import as_json
from chatflow.workflows.services import decisions, on_behalf
from chatflow.workflows.texts import REMOVED


class Refused(Exception):
    """What was filled in can't be used; its text says why."""


@dataclass(frozen=True)
class Done:
    """What came of an act.

    Args:
        words: for the one who acted.
        job: that goes on; None where no other one does.
    """

    words: str
    job: Job | None = None


@dataclass(frozen=True)
class Act:
    """Something that can be done to a job.

    Args:
        word: what it is called in the record.
        may: says whether a user may.
        do: does it, by the request's fields.
        reads: it shows or takes the words of users: who may not read them may not do it.
        tells: its reason is told to the user. It stands with the request, is hidden and removed as
            the words of users are, and isn't in the record.
    """

    word: str
    may: Callable[[Any], bool]
    do: Callable[[HttpRequest, Job], Done]
    reads: bool = False
    tells: bool = False

    def is_for(self, user: Any) -> bool:
        """Say whether *user* may do it."""
        return self.may(user) and (not self.reads or may_read_texts(user))


def perform(request: HttpRequest, job: Job, act: Act) -> Done:
    """Do an act and record it.

    Args:
        request: a POST; the one who asks may do that.
        job: as find_job() returns it.
        act: one of ACTS.

    Raises:
        Refused: it can't be done; the text says why.
    """
    why = request.POST.get("reason", "").strip()
    if len(why) > REASON_LENGTH:
        raise Refused(f"Give the reason in at most {REASON_LENGTH} characters.")
    try:
        done = act.do(request, job)
    except InvalidForm as error:
        wrong = "; ".join(f"{name}: {', '.join(said)}" for name, said in error.errors.items())
        raise Refused(f"It does not fit: {wrong}") from None
    except ChatflowError as error:
        raise Refused(str(error)) from None
    audit.record(request, job, act.word, "" if act.tells else why, outcome=done.words)
    return done


def _cancel(request: HttpRequest, job: Job) -> Done:
    current = services.cancel(job)
    if current.state == State.CANCELLED and not job.is_finished:
        return Done("Cancelled.")
    if current.state == State.PROCESSING:
        return Done("Told to stop.")
    return Done("Closed its question." if job.awaiting else "Had ended already.")


def _retry(request: HttpRequest, job: Job) -> Done:
    new = services.retry(job)
    return Done(f"Retried as {new}.", new)


def _retry_from(request: HttpRequest, job: Job) -> Done:
    key = request.POST.get("step", "")
    step = Step.objects.filter(pk=key).first() if key.isdecimal() and len(key) < 19 else None
    if step is None:
        raise Refused("There is no such step.")
    new = services.retry(job, from_step=step)
    # The name of a question has what its user was asked.
    name = "a question" if step.question else f"the step “{own_name(step)}”"
    return Done(f"Retried from {name} on, as {new}.", new)


def _edit(request: HttpRequest, job: Job) -> Done:
    text = _text(request, "text")
    origin = on_behalf.begin_of(job)
    given = None
    if origin.input is not None:
        given = as_json(request.POST.get("input", ""))
        if not isinstance(given, dict):
            raise Refused("The input is no JSON object.")
    new = on_behalf.send_again(job, text, by=request.user, input=given)
    return Done(f"Sent in other words for its user, as {new}.", new)


def _answer(request: HttpRequest, job: Job) -> Done:
    if (job.awaiting or {}).get("kind") == "approval":
        raise Refused("An approval is approved or rejected.")
    new = on_behalf.answer(job, _text(request, "answer"), by=request.user)
    return Done(f"Answered its question for the user; it goes on as {new}.", new)


def _decide(approved: bool) -> Callable[[HttpRequest, Job], Done]:
    def decide(request: HttpRequest, job: Job) -> Done:
        asked = job.approval_requests.open().select_related("job", "session", "user").first()
        if asked is None:
            raise QuestionClosed
        if approved and not may_approve(request.user, asked):
            raise Refused(FORM_HIDDEN)
        text = request.POST.get("answer", "").strip()
        answer = as_json(text) if text else None
        if text and not isinstance(answer, dict):
            raise Refused("The answer is no JSON object.")
        new = decisions.decide(
            asked,
            by=request.user,
            via=ApprovalRequest.Via.ADMIN,
            approved=approved,
            reason=request.POST.get("reason", "").strip(),
            answer=answer if approved else None,
        )
        return Done(decided(new, approved=approved), new)

    return decide


def _text(request: HttpRequest, name: str) -> str:
    # A browser sends lines with CR and LF.
    text = request.POST.get(name, "").replace("\r\n", "\n").strip()
    if not text or "\0" in text:
        raise Refused("There must be words.")
    if len(text) > MESSAGE_LENGTH:
        raise Refused(f"Say it in at most {MESSAGE_LENGTH} characters.")
    return text


ACTS = {
    "cancel": Act("Cancel", may_operate, _cancel),
    "retry": Act("Retry", may_operate, _retry),
    "retry-from": Act("Retry from a step", may_operate, _retry_from),
    "edit": Act("Send in other words", may_operate, _edit, reads=True),
    "answer": Act("Answer for the user", may_decide, _answer, reads=True),
    "approve": Act("Approve", may_decide, _decide(approved=True), tells=True),
    "reject": Act("Reject", may_decide, _decide(approved=False), tells=True),
}


def offered(user: Any, job: Job, *, asks: bool, is_retried: bool) -> set[str]:
    """Return the names of the acts that make sense now, and that *user* may do.

    Args:
        user: who looks.
        job: it.
        asks: its question is open.
        is_retried: another job does it again already.
    """
    wants_approval = asks and (job.awaiting or {}).get("kind") == "approval"
    # What retention has taken can't be done again.
    is_kept = job.text != REMOVED
    fitting = {
        "cancel": (not job.is_finished and not job.cancel_code) or asks,
        "retry": job.is_unsuccessful and not is_retried and is_kept,
        "retry-from": job.is_finished and not is_retried and is_kept,
        "edit": job.is_finished and is_kept,
        "answer": asks and not wants_approval,
        "approve": wants_approval,
        "reject": wants_approval,
    }
    return {name for name, act in ACTS.items() if fitting[name] and act.is_for(user)}


def pretty(value: Any) -> str:
    """Return JSON for a field of a form."""
    return json.dumps(value, indent=2, ensure_ascii=False)
