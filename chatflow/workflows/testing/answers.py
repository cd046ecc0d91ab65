"""What the test's user answers to a workflow's questions."""

import json
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from chatflow.workflows import services
from chatflow.workflows.models import ApprovalRequest, Job
from chatflow.workflows.services import decisions

# In the place of the last answer: the question stays open.
OPEN: Final = object()


@dataclass(frozen=True)
class Decision:
    """A decision about an approval.

    Args:
        reason: why.
        answer: the form that goes with an approval: a pydantic model or a mapping.
        by: the user who decides; by default the one whose conversation it is.
    """

    reason: str = ""
    answer: BaseModel | dict[str, Any] | None = None
    by: Any = None


class Approve(Decision):
    """Approve what the workflow asks an approval for. See Decision."""


class Reject(Decision):
    """Reject it. See Decision."""


def give(answer: Any, question: Job) -> Job:
    """Answer an open question, and return the job that goes on; nobody has worked on it yet.

    Args:
        answer: a decision about an approval; or the user's next message: a text, None to decline,
            True or False for yes and no, or data, which is sent as JSON.
        question: the job that asks.
    """
    if isinstance(answer, Decision):
        return _decide(answer, question)
    key, tenant = question.session.key, question.tenant
    return services.start(question.user, say(answer), session_key=key, tenant=tenant).job


def say(answer: Any) -> str:
    """Return the message that says *answer*."""
    if isinstance(answer, str):
        return answer
    if answer is None:
        return "skip"
    if isinstance(answer, bool):
        return "yes" if answer else "no"
    return json.dumps(to_jsonable_python(answer), ensure_ascii=False)


def _decide(decision: Decision, question: Job) -> Job:
    approval = (question.awaiting or {}).get("approval_id")
    assert approval, f"This is no request for an approval: {question.response}"
    by = decision.by or question.user
    if isinstance(by, str):
        raise TypeError(f"Who decides is a user, such as by=bob, not the name {by!r}.")
    answer = decision.answer
    return decisions.decide(
        decisions.get_request(question.user, approval, tenant=question.tenant),
        by=by,
        via=ApprovalRequest.Via.API if by == question.user else ApprovalRequest.Via.ADMIN,
        approved=isinstance(decision, Approve),
        reason=decision.reason,
        answer=None if answer is None else to_jsonable_python(answer),
    )
