"""What members of the staff say for users: an answer, or a message in other words.

The job has who said it among its options, and the conversation shows it.
"""

from typing import Any

from chatflow.conf import conf
from chatflow.workflows import services
from chatflow.workflows.dialogue import actions
from chatflow.workflows.dialogue.form_keys import WHOLE
from chatflow.workflows.exceptions import InvalidForm, StillRunning
from chatflow.workflows.models import NAME_LENGTH, STAFF, ActionUse, Job, Message
from chatflow.workflows.store import events


def answer(job: Job, text: str, *, by: Any) -> Job:
    """Answer the open question of a job for its user; an approval is for decisions.decide().

    Args:
        job: it asks.
        text: the answer, as the user would type it.
        by: who answers; the caller has checked that they may.

    Returns:
        The job that goes on.

    Raises:
        QuestionClosed: nothing is asked any more.
        SessionBusy: the workflow would have to go on at once, without a worker, and can't.
    """
    name = _name(by)
    # A job that runs here is forgotten when its turn doesn't come; an answer must not be.
    on_busy: services.OnBusy = "reject" if conf.QUEUE_CONNECTION == "sync" else "enqueue"
    return services.start(
        job.user,
        text,
        tenant=job.tenant,
        session_key=job.session.key,
        options={**job.flags, STAFF: {"by": name, "act": "answered"}},
        on_busy=on_busy,
        answers_to=job,
        before_commit=lambda new: _sign(new, f"Answered by {name}"),
    ).job


def send_again(job: Job, text: str, *, by: Any, input: dict[str, Any] | None = None) -> Job:
    """Begin the workflow of a job anew, with other words of its user's.

    Nothing that was recorded is used, and an open question of the session's is closed. The old job
    stays as it is, but leaves the list of failures.

    Args:
        job: one that has ended; of a conversation, any turn.
        text: the message that begins it now.
        by: who sends it; the caller has checked that they may.
        input: what the workflow finds as its input, where an action began it; see check_input().

    Returns:
        The new job.

    Raises:
        StillRunning: the job has not ended yet.
        InvalidForm: the input doesn't fit.
        UnknownWorkflow: the workflow is gone, or the user may not use it any more.
        AlreadyQueued: a job with the workflow's unique key is queued or running.
        SessionBusy: it would have to run at once, without a worker, and can't.
    """
    origin, name = begin_of(job), _name(by)
    given = check_input(origin, input)

    def replace(new: Job) -> None:
        current = Job.objects.select_for_update(of=("self",)).get(pk=job.pk)
        if not current.is_finished:
            raise StillRunning
        Job.objects.filter(pk=job.pk).update(forgotten=True)
        _sign(new, f"Sent by {name}")

    if not job.is_finished:
        raise StillRunning
    note = {"by": name, "act": "sent", "instead_of": job.public_id}
    return services.start(
        job.user,
        text,
        tenant=job.tenant,
        session_key=job.session.key,
        workflow=job.workflow,
        options={**origin.flags, STAFF: note},
        on_busy="reject" if conf.QUEUE_CONNECTION == "sync" else "enqueue",
        input=given,
        before_commit=replace,
    ).job


def begin_of(job: Job) -> Job:
    """Return the job whose message began the conversation with the workflow."""
    return job.root or job


def check_input(origin: Job, input: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return the input as the workflow is to find it.

    What an action's form filled in has to fit its schema, and what the action itself gave stays as
    it was given. Any object will do where the workflow was not begun by a form, or it isn't known
    any more.

    Args:
        origin: the job that the action began.
        input: what is to take the place of its own; None for a job that no action began.

    Raises:
        InvalidForm: it doesn't fit, or there is some where there was none.
    """
    if origin.input is None or input is None:
        if input:
            raise InvalidForm({WHOLE: ["No action began this job: it takes no input."]})
        return origin.input
    given: dict[str, Any] = events.clean(input)
    form = find_form(origin)
    if form is None:
        return given
    fixed = form.get("input") or {}
    filled = {name: value for name, value in given.items() if name not in fixed}
    return actions.restore(form).turn(filled).input


def find_form(origin: Job) -> dict[str, Any] | None:
    """Return the form that began a job, as it was offered; None where none did."""
    use = ActionUse.objects.filter(job=origin).select_related("offered_by").first()
    offered = (use.offered_by.offers or {}).get(use.action_id) if use is not None else None
    return offered if offered is not None and offered.get("type") == "form" else None


def _name(by: Any) -> str:
    name: str = by.get_username()[:NAME_LENGTH]
    return name


def _sign(job: Job, how: str) -> None:
    """Let the conversation show who said the message of *job*."""
    mine = Message.objects.filter(job=job, role=Message.Role.USER)
    mine.update(content=f"{events.clean(job.text)}\n\n({how}.)")
