"""The verb that asks for approval: typed, expiring, and on record.

Consent is a decision of a person, not a text that a workflow has found. It counts only where the
server knows who gave it: an authenticated request of the owner or of the staff (decisions.py), or a
message that the owner sent when the question stood there already.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models.functions import Now
from pydantic import BaseModel, ConfigDict, ValidationError

from chatflow.workflows import clock
from chatflow.workflows.dialogue import answers, forms
from chatflow.workflows.exceptions import Fenced
from chatflow.workflows.models import NAME_LENGTH, ActionUse, ApprovalRequest, Job, Step
from chatflow.workflows.running import questions
from chatflow.workflows.running.questions import Question, Unclear, as_json, complain
from chatflow.workflows.running.record import Record
from chatflow.workflows.store import events

EXPIRED = "expired"
# Seconds after which an approval expires unless its workflow says otherwise.
LIFETIME = 86400


@dataclass(frozen=True, kw_only=True)
class Approval:
    """A decision. Where nobody decided in time, it is not approved, for "expired".

    Args:
        approved: whether it may be done.
        answer: the form that was filled in with the approval; None where there was none, or if it
            was not approved.
        by: who decided, by the name that they sign in with; empty if nobody did.
        at: when.
        reason: why, in the words of who decided; may be empty.
    """

    approved: bool
    answer: BaseModel | None
    by: str
    at: datetime
    reason: str


def approve(
    record: Record,
    prompt: str,
    *,
    answer: type[BaseModel] | None = None,
    expires_in: float = LIFETIME,
    details: dict[str, Any] | None = None,
    name: str = "",
) -> Approval:
    """See Context.approve(); *name* is what the question is called in the record."""
    question = ApprovalQuestion(record.job, prompt, answer, expires_in, details or {}, name)
    value = questions.put(record, question)
    given = value["answer"]
    return Approval(
        approved=value["approved"],
        answer=None if answer is None or given is None else questions.load(answer, given, prompt),
        by=value["by"],
        at=datetime.fromisoformat(value["at"]),
        reason=value["reason"],
    )


class Verdict(BaseModel):
    """A decision as a message, for chat clients that show forms: ``{"approved": true, …}``."""

    # Its validators are made when the first one is read, not at each start.
    model_config = ConfigDict(strict=True, defer_build=True)

    approved: bool
    reason: str = ""
    answer: dict[str, Any] | None = None


class ApprovalQuestion(Question):
    """A question that has a row: while it is open, its step's result is the row's public id."""

    def __init__(
        self,
        job: Job,
        prompt: str,
        model: type[BaseModel] | None,
        expires_in: float,
        details: dict[str, Any],
        name: str,
    ) -> None:
        super().__init__(prompt, "approval", self._decide, name=name)
        self.job = job
        self.model = model
        self.schema = None if model is None else forms.schema_of(model)
        self.expires_in = expires_in
        self.details = details
        self.request: ApprovalRequest | None = None

    def ask(self, step: Step) -> None:
        request = self.request or ApprovalRequest.objects.filter(public_id=step.result).first()
        if request is None or request.decided_at is not None:
            request = self._new(step)
        # The session's open question is that of the job that asked last.
        ApprovalRequest.objects.filter(pk=request.pk).update(job=self.job)
        self.awaiting = {
            "approval_id": request.public_id,
            "expires_at": _iso(request.expires_at),
            **({"details": request.details} if request.details else {}),
            **({"schema": request.schema} if request.schema else {}),
        }

    def _new(self, step: Step) -> ApprovalRequest:
        now = clock.now()
        request = ApprovalRequest.objects.create(
            user_id=self.job.user_id,
            session_id=self.job.session_id,
            job=self.job,
            workflow=self.job.workflow,
            prompt=events.clean(self.prompt),
            details=events.clean(self.details),
            schema=events.clean(self.schema),
            created_at=now,
            expires_at=now + timedelta(seconds=self.expires_in),
        )
        step.result = request.public_id
        step.save(update_fields=["result"])
        return request

    def read(self, step: Step, text: str) -> Any:
        self.request = request = ApprovalRequest.objects.get(public_id=step.result)
        if request.decided_at is None:
            return self.parse(text)
        if request.approved and self.model is not None:
            # The model may want more than its schema says.
            self._check(request.answer)
        return {
            "approved": request.approved,
            "answer": request.answer,
            "by": request.by,
            "at": _iso(request.decided_at),
            "reason": request.reason,
        }

    def _decide(self, text: str) -> Any:
        assert self.request is not None
        sent = _first_sent(self.job)
        if sent.created_at > self.request.expires_at:
            at = _iso(self.request.expires_at)
            return {"approved": False, "answer": None, "by": "", "at": at, "reason": EXPIRED}
        if not _was_typed(sent):
            raise Unclear("Your last message came before this question.")
        verdict = _verdict(text)
        if verdict.approved and self.model is not None:
            self._check(verdict.answer)
        return {
            "approved": verdict.approved,
            "answer": verdict.answer if verdict.approved and self.model is not None else None,
            "by": self.job.user.get_username()[:NAME_LENGTH],
            "at": _iso(clock.now()),
            "reason": verdict.reason,
        }

    def _check(self, answer: Any) -> None:
        assert self.model is not None
        try:
            self.model.model_validate({} if answer is None else answer)
        except ValidationError as error:
            raise Unclear(complain(error)) from None

    def answer(self, step: Step, value: Any) -> None:
        assert self.request is not None
        if self.request.decided_at is not None:
            return
        expired = value["reason"] == EXPIRED and not value["by"]
        updated = ApprovalRequest.objects.filter(pk=self.request.pk, decided_at=None).update(
            approved=value["approved"],
            answer=events.clean(value["answer"]),
            by=value["by"],
            reason=events.clean(value["reason"]),
            via=ApprovalRequest.Via.EXPIRY if expired else ApprovalRequest.Via.CHAT,
            decided_at=self.request.expires_at if expired else Now(),
        )
        if not updated:
            # Somebody was faster; the next attempt finds that decision.
            raise Fenced


def _first_sent(job: Job) -> Job:
    """Return the job that the message first came with; a retry brings the same words again."""
    while job.retry_of is not None:
        job = job.retry_of
    return job


def _was_typed(job: Job) -> bool:
    """Return whether the job's owner typed its message when the question stood there.

    A message that had to wait is older than the question, and so is the offer of a quick reply. The
    message of a decision made elsewhere belongs to that decision alone.
    """
    return not (job.waited or job.explicit or ActionUse.objects.filter(job=job).exists())


def _verdict(text: str) -> Verdict:
    value = as_json(text)
    if isinstance(value, dict):
        try:
            return Verdict.model_validate(value)
        except ValidationError as error:
            raise Unclear(complain(error)) from None
    consent = answers.consent(text)
    if consent is None:
        raise Unclear("Please answer yes or no, with your reason if you like.")
    return Verdict(approved=consent[0], reason=consent[1])


def _iso(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
