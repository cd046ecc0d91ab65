"""A job as a row of the list shows it: in words that need no knowledge of the engine."""

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.text import Truncator

from chatflow.operations.job_page.wording import state_of, tone_of
from chatflow.operations.roles import HIDDEN
from chatflow.workflows import clock
from chatflow.workflows.models import Feedback, Job, State
from chatflow.workflows.registry import all_workflows
from chatflow.workflows.services import queues

# Characters of a question, and of an error.
SHOWN = 90
# Seconds.
JUST_NOW = 5.0
UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))

# What a row needs of a job; the words of models can be long.
COLUMNS = (
    *("public_id", "user", "tenant", "session", "workflow", "text", "state", "queue"),
    *("available_at", "attempt", "claimed_at", "ran_for", "cancel_code", "progress", "usage"),
    *("awaiting", "code", "error", "traceback", "created_at", "started_at", "finished_at"),
)


def titles() -> dict[str, str]:
    """Return the titles of the workflows that are registered, by their names."""
    return {each.name: each.title for each in all_workflows()}


def one_line(text: str) -> str:
    """Return the beginning of a text, in one line."""
    lines = text.strip().splitlines()
    line = lines[0].strip() if lines else ""
    shown = Truncator(line).chars(SHOWN)
    return shown if shown != line or len(lines) < 2 else f"{line} …"


def duration(seconds: float, units: int = 2) -> str:
    """Return a time as people say it, in so many of its largest units."""
    if seconds < 10:
        return f"{max(0.0, seconds):.1f} s"
    left, said = round(seconds), list[str]()
    for size, unit in UNITS:
        if left >= size and len(said) < units:
            said.append(f"{left // size} {unit}")
        left %= size
    return " ".join(said)


@dataclass(frozen=True)
class Row:
    """What the list shows of a job.

    Args:
        job: with its user and its feedback.
        may_read_texts: whether the one who looks may see the words of users and models.
        titles: of the workflows, by their names.
    """

    job: Job
    may_read_texts: bool
    titles: dict[str, str]

    @property
    def url(self) -> str:
        return reverse("admin:chatflow_workflows_job_change", args=(self.job.pk,))

    @property
    def of_user(self) -> str:
        """The query of the list of their jobs."""
        return urlencode({"user": self.job.user.get_username()})

    @property
    def of_tenant(self) -> str:
        return urlencode({"tenant": self.job.tenant})

    @property
    def question(self) -> str:
        if not self.may_read_texts:
            return HIDDEN
        return one_line(self.job.text) or "(without words)"

    @property
    def error(self) -> str:
        """Why it ended without an answer, in a line."""
        if not self.job.is_unsuccessful or self.job.state == State.CANCELLED:
            return ""
        said = one_line(queues.reason(self.job)) if self.may_read_texts else ""
        return said or self.job.code.replace("_", " ")

    @property
    def workflow(self) -> str:
        return self.titles.get(self.job.workflow, self.job.workflow)

    @property
    def tone(self) -> str:
        """The name of its state's colour."""
        return tone_of(self.job, asks=self.asks)

    @property
    def asks(self) -> bool:
        """Whether the next message of its session is the answer to its question."""
        return self.job.session.open_job_id == self.job.pk

    @property
    def state(self) -> str:
        if self.job.state == State.QUEUED and self.is_delayed:
            return "Delayed"
        return state_of(self.job, asks=self.asks)

    @property
    def is_running(self) -> bool:
        return self.job.state == State.PROCESSING

    @cached_property
    def is_delayed(self) -> bool:
        return self.job.available_at > clock.now()

    @property
    def ago(self) -> str:
        seconds = clock.seconds_since(self.job.created_at)
        return "just now" if seconds < JUST_NOW else f"{duration(seconds, units=1)} ago"

    @property
    def exactly(self) -> str:
        return moment(self.job.created_at)

    @property
    def waited(self) -> str:
        job = self.job
        if job.started_at is None and job.is_finished:
            return ""
        until = job.started_at or clock.now()
        return duration((until - job.created_at).total_seconds())

    @property
    def ran(self) -> str:
        job = self.job
        if job.started_at is None:
            return ""
        seconds = job.ran_for
        if job.claimed_at is not None and not job.is_finished:
            seconds += clock.seconds_since(job.claimed_at)
        return duration(seconds)

    @property
    def tokens(self) -> str:
        usage: dict[str, Any] = self.job.usage
        count = usage.get("input_tokens", 0) + usage.get("output_tokens", 0)
        return f"{count:,} token{'' if count == 1 else 's'}" if count else ""

    @property
    def cost(self) -> str:
        cost = self.job.usage.get("cost_usd")
        return "" if cost is None else f"${cost:.2f}" if cost >= 1 else f"${cost:.4f}"

    @property
    def feedback(self) -> str:
        given: Feedback | None = getattr(self.job, "feedback", None)
        return given.get_value_display() if given is not None else ""


def moment(at: datetime) -> str:
    """Return a moment in the site's time zone, to the second."""
    return f"{timezone.localtime(at):%Y-%m-%d %H:%M:%S %Z}"
