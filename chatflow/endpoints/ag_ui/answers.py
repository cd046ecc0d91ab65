"""Answers to interrupts: each names its question, and answers no other one."""

import json
from typing import Any

from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from chatflow.access.scopes import find_approval, reach_of
from chatflow.dialects.ag_ui import Run
from chatflow.dialects.ids import ASK
from chatflow.endpoints import speaking
from chatflow.endpoints.ag_ui.inputs import Resume
from chatflow.endpoints.inbox import decided
from chatflow.endpoints.speaking import Wanted
from chatflow.workflows import services
from chatflow.workflows.exceptions import (
    ApprovalNotFound,
    JobNotFound,
    QuestionClosed,
    TokenRefused,
)
from chatflow.workflows.models import ApprovalRequest, Job


def give(request: Request, run: Run, resume: Resume, key: str) -> Job:
    """Answer a question, and return the job that goes on with it.

    Args:
        request: who answers.
        run: in whose thread the question is.
        resume: the answer.
        key: the Idempotency-Key of the job that goes on.

    Raises:
        JobNotFound, ApprovalNotFound: there is no such question in the thread.
        QuestionClosed: it is not open any more.
        TokenRefused: it wants a decision that the request's token may not make.
        All that inbox.decided() and speaking.say() raise.
    """
    if not resume.interrupt_id.startswith(ASK):
        approval = _find_approval(request, run, resume.interrupt_id)
        if not reach_of(request).decides:
            raise TokenRefused
        return decided(request, approval, resume.payload, key)
    question = _find_question(request, run, resume.interrupt_id)
    return speaking.say(
        request,
        speaking.check_text(_in_words(resume.payload)),
        session_key=run.thread_id,
        wanted=Wanted(),
        key=key,
        body_hash="",
        options=question.flags,
        answers_to=question,
    ).job


def drop(request: Request, run: Run, resume: Resume) -> Job:
    """Close a question that nobody wants to answer, and return the job that asks.

    Raises:
        JobNotFound, ApprovalNotFound: there is no such question in the thread.
        QuestionClosed: it was answered.
    """
    if resume.interrupt_id.startswith(ASK):
        question = _find_question(request, run, resume.interrupt_id)
    else:
        approval = _find_approval(request, run, resume.interrupt_id)
        if approval.job is None:
            raise QuestionClosed
        question = approval.job
    services.cancel(question, reach=reach_of(request))
    later = Job.objects.filter(root=question.conversation_id, pk__gt=question.pk)
    if later.exists():
        raise QuestionClosed
    return question


def _find_approval(request: Request, run: Run, public_id: str) -> ApprovalRequest:
    approval = find_approval(request, public_id)
    in_reach = reach_of(request).workflow in ("", approval.workflow)
    if approval.session.key != run.thread_id or not in_reach:
        raise ApprovalNotFound
    return approval


def _find_question(request: Request, run: Run, name: str) -> Job:
    question = speaking.own_job(request, name.removeprefix(ASK))
    kind = (question.awaiting or {}).get("kind", "approval")
    if question.session.key != run.thread_id or kind == "approval":
        raise JobNotFound
    return question


def _in_words(payload: Any) -> str:
    """Return a payload as its user would type it."""
    match payload:
        case str():
            return payload
        case bool():
            return "yes" if payload else "no"
        case None:
            raise ValidationError({"resume": ["There is no answer."]})
        case _:
            return json.dumps(payload, ensure_ascii=False)
