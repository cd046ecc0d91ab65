"""What a list of jobs may be limited to: each filter, how its URL spells it, how it is found."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from typing import Any

from django import forms
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Coalesce
from django.db.models.lookups import Exact, In
from django.http import QueryDict
from django.utils import timezone
from django.utils.functional import cached_property

from chatflow.conf import conf
from chatflow.operations.admin.tables import id_begins
from chatflow.operations.admin.walks import SLACK, Walk, bounds, few, keys_around
from chatflow.operations.job_page import wording
from chatflow.workflows import clock
from chatflow.workflows.models import UNSUCCESSFUL, Feedback, Job, Session, State
from chatflow.workflows.registry import all_workflows
from chatflow.workflows.services import queues
from chatflow.workflows.users import find_user, users_named

# Jobs that are named by their keys: what an index finds and is no more than that.
FEW = 2_000
# Sessions of one key, each another user's, that a search takes.
SESSIONS = 500
# Words that a search looks for; each is compared with each text.
WORDS = 8
# Names that are proposed in place of one that nobody has.
PROPOSED = 8

# Completed, and the session's next message is the answer to its question.
ASKS = "asks"
STATES = (
    (State.QUEUED, "Waiting"),
    (State.PROCESSING, "Running"),
    (State.COMPLETED, "Done"),
    (ASKS, wording.ASKS),
    (State.FAILED, "Failed"),
    (State.TIMEOUT, "Timed out"),
    (State.CANCELLED, "Cancelled"),
)
PERIODS = {
    "hour": ("The last hour", timedelta(hours=1)),
    "24h": ("The last 24 hours", timedelta(hours=24)),
    "7d": ("The last 7 days", timedelta(days=7)),
    "30d": ("The last 30 days", timedelta(days=30)),
}
TODAY = "today"
WHEN = [
    ("", "Any time"),
    (TODAY, "Today"),
    *((name, words) for name, (words, _) in PERIODS.items()),
]

# What else a list's address may have.
PLACES = ("before", "patient")

# A job's public id, or the beginning of one, with its prefix or without.
ID = re.compile(r"(?:workflow_)?[0-9a-f]{6,32}|workflow_[0-9a-f]*")


class FilterForm(forms.Form):
    """The filters, as a list's URL has them; all of them are optional."""

    use_required_attribute = False

    q = forms.CharField(label="Search", max_length=500, required=False)
    state = forms.MultipleChoiceField(
        choices=STATES, required=False, widget=forms.CheckboxSelectMultiple
    )
    user = forms.CharField(max_length=254, required=False)
    workflow = forms.CharField(max_length=100, required=False)
    queue = forms.CharField(max_length=50, required=False)
    when = forms.ChoiceField(label="Sent", choices=WHEN, required=False)
    since = forms.DateField(
        label="Sent from", required=False, widget=forms.DateInput(attrs={"type": "date"})
    )
    until = forms.DateField(
        label="Sent until", required=False, widget=forms.DateInput(attrs={"type": "date"})
    )
    cost = forms.DecimalField(
        label="Cost of at least, in $",
        min_value=0,
        max_digits=12,
        decimal_places=6,
        required=False,
        widget=forms.NumberInput(attrs={"step": "any"}),
    )
    attempts = forms.IntegerField(
        label="Attempts, at least", min_value=1, max_value=1000, required=False
    )
    feedback = forms.ChoiceField(choices=[("", "Any"), *Feedback.Value.choices], required=False)
    tenant = forms.CharField(label="Organisation", max_length=255, required=False)
    session = forms.IntegerField(min_value=1, max_value=2**62, required=False)
    failures = forms.BooleanField(label="On the list of failures", required=False)

    def __init__(self, data: QueryDict) -> None:
        super().__init__(data, auto_id="jobs-%s")
        named = {each.name: each.title for each in all_workflows()}
        self._offer("workflow", "Any workflow", named)
        self._offer("queue", "Any queue", {each.queue: each.queue for each in all_workflows()})
        if not conf.TENANT and not data.get("tenant"):
            del self.fields["tenant"]
        if not data.get("session"):
            # Its own page links here by its key.
            del self.fields["session"]

    def _offer(self, name: str, anything: str, choices: dict[str, str]) -> None:
        """Let a field be chosen: from those of today, and what the URL has of former ones."""
        given = self.data.get(name, "")
        offered = {"": anything, **dict(sorted(choices.items(), key=lambda each: each[1]))}
        offered.setdefault(given, given)
        self.fields[name] = forms.ChoiceField(choices=list(offered.items()), required=False)


@dataclass(frozen=True)
class Finding:
    """How the jobs are found that a filter leaves.

    Args:
        condition: of them.
        keys: a query for their primary keys, and perhaps more, in the order of an index; None
            where no index knows them.
        note: what the list says about it.
    """

    condition: Q
    keys: QuerySet[Any] | None = None
    note: str = ""


NOTHING = Finding(Q(pk__in=[]), note="")


class JobFilters:
    """The filters of a list of jobs.

    Args:
        query: of its URL. Django's own spelling of a filter, ``state__exact``, is one too.
        may_read_texts: whether words are looked for in what users wrote.
    """

    def __init__(self, query: QueryDict, *, may_read_texts: bool) -> None:
        data = QueryDict(mutable=True)
        for name, values in query.lists():
            name = name.removesuffix("__exact").removesuffix("__id")
            data.setlist(name, [each for each in values if each != ""])
        self.form = FilterForm(data)
        self._unknown = sorted(set(data) - set(self.form.fields) - set(PLACES))
        self.is_valid = self.form.is_valid() and not self._unknown
        self._may_read_texts = may_read_texts
        self._data = data

    @cached_property
    def query(self) -> QueryDict:
        """The filters alone, as a URL has them."""
        query = QueryDict(mutable=True)
        for name in self.form.fields:
            if values := self._data.getlist(name):
                query.setlist(name, values)
        return query

    def without(self, name: str) -> str:
        """Return the query of the same list without one of the filters."""
        query = self.query.copy()
        query.pop(name, None)
        return query.urlencode()

    def chosen(self) -> Iterator[tuple[str, str, str]]:
        """Yield the names of the filters that are set, with their labels and values in words."""
        for name in self.query:
            field = self.form.fields[name]
            choices = dict(getattr(field, "choices", ()))
            words = [str(choices.get(each, each)) for each in self.query.getlist(name)]
            value = "" if name == "failures" else ", ".join(words)
            yield name, str(field.label or name.capitalize()), value

    @cached_property
    def findings(self) -> list[Finding]:
        """How to find the jobs of each filter that is set; none at all where one is not valid."""
        if not self.is_valid:
            return [NOTHING]
        given = self.form.cleaned_data
        return [
            getattr(self, f"_find_{name}")(given[name])
            for name in self.query
            if hasattr(self, f"_find_{name}")
        ]

    @property
    def notes(self) -> list[str]:
        unknown = [f"There is no filter “{name}”." for name in self._unknown]
        return unknown + [finding.note for finding in self.findings if finding.note]

    def walk(self, below: int | None = None) -> Walk:
        """Return the walk through the jobs that all filters leave.

        Args:
            below: a key from which to go on.
        """
        lowest, above = self._moments()
        jobs, keys = Job.objects.all(), None
        for finding in self.findings:
            jobs = jobs.filter(finding.condition)
            if keys is None and finding.keys is not None:
                keys = few(finding.keys, FEW)
        walk = Walk(jobs=jobs, from_key=lowest, below=above, keys=keys)
        return walk if below is None else replace(walk, below=min(above, below))

    def _moments(self) -> tuple[int, int]:
        """Return the bounds of the keys of the jobs that were sent when the filters want it."""
        lowest, above = bounds()
        since, until = self._since, self._until
        if since is not None:
            lowest, _ = keys_around(since - SLACK, lowest, above)
        if until is not None:
            _, above = keys_around(until + SLACK, lowest, above)
        return lowest, above

    @cached_property
    def _since(self) -> datetime | None:
        given = self.form.cleaned_data if self.is_valid else {}
        moments = [_midnight(day) for day in [given.get("since")] if day]
        if given.get("when") == TODAY:
            moments.append(_midnight(timezone.localdate()))
        elif given.get("when"):
            moments.append(clock.now() - PERIODS[given["when"]][1])
        return max(moments, default=None)

    @cached_property
    def _until(self) -> datetime | None:
        day = self.form.cleaned_data.get("until") if self.is_valid else None
        return _midnight(day + timedelta(days=1)) if day else None

    # One for each filter.

    def _find_when(self, value: str) -> Finding:
        return Finding(Q(created_at__gte=self._since))

    def _find_since(self, value: Any) -> Finding:
        return Finding(Q(created_at__gte=self._since))

    def _find_until(self, value: Any) -> Finding:
        return Finding(Q(created_at__lt=self._until))

    def _find_state(self, states: list[str]) -> Finding:
        condition = Q(In(_unindexed("state"), [each for each in states if each != ASKS] or [""]))
        open_jobs = Session.objects.filter(open_job__isnull=False)
        asking = open_jobs.order_by("-open_job").values_list("open_job", flat=True)
        if ASKS in states:
            condition |= Q(pk__in=open_jobs.values("open_job"))
        if states == [ASKS]:
            return Finding(condition, asking)
        if set(states) <= {State.QUEUED, State.PROCESSING}:
            # As a literal too, for SQLite to see that the index of active jobs will do.
            active = Job.objects.filter(state__in=states).extra(
                where=["workflows_job.state IN ('queued', 'processing')"]
            )
            return Finding(condition, _keys(active, "session", "pk"))
        return Finding(condition)

    def _find_user(self, name: str) -> Finding:
        user = find_user(name)
        if user is not None:
            return _of_user(user)
        alike = users_named(name, PROPOSED)
        proposed = f" Did you mean {' or '.join(alike)}?" if alike else ""
        return replace(NOTHING, note=f"Nobody signs in as “{name}”.{proposed}")

    def _find_workflow(self, name: str) -> Finding:
        return Finding(_has("workflow", name))

    def _find_queue(self, name: str) -> Finding:
        return Finding(_has("queue", name))

    def _find_tenant(self, key: str) -> Finding:
        return Finding(_has("tenant", key))

    def _find_cost(self, least: Any) -> Finding:
        return Finding(Q(usage__cost_usd__gte=float(least)))

    def _find_attempts(self, least: int) -> Finding:
        return Finding(Q(attempt__gte=least))

    def _find_failures(self, value: bool) -> Finding:
        listed = Q(In(_unindexed("state"), UNSUCCESSFUL), forgotten=False)
        return Finding(listed, queues.failures().values_list("pk", flat=True))

    def _find_session(self, key: int) -> Finding:
        return _in_sessions([key])

    def _find_feedback(self, value: str) -> Finding:
        given = Feedback.objects.filter(value=value).order_by("-job").values_list("job", flat=True)
        return Finding(Q(pk__in=Feedback.objects.filter(value=value).values("job")), given)

    def _find_q(self, searched: str) -> Finding:
        searched = searched.strip()
        if not searched:
            return Finding(Q())
        if ID.fullmatch(searched):
            digits = searched.removeprefix("workflow_")
            by_id = id_begins("workflow_" + digits)
            found = Job.objects.filter(by_id).order_by("public_id")
            if searched.startswith("workflow_") or found.exists():
                return Finding(by_id, found.values_list("pk", flat=True))
        user = find_user(searched)
        if user is not None:
            return replace(_of_user(user), note=f"Jobs of the user {searched}.")
        by_key = Session.objects.filter(key=searched).values_list("pk", flat=True)
        if sessions := list(by_key[:SESSIONS]):
            return replace(_in_sessions(sessions), note=f"Jobs of the session {searched}.")
        return self._find_words(searched.split())

    def _find_words(self, words: list[str]) -> Finding:
        if not self._may_read_texts:
            return replace(
                NOTHING,
                note="No id, user or session of that name. To look for words in what users wrote "
                "takes the permission to read texts.",
            )
        condition = Q()
        for word in words[:WORDS]:
            # Few jobs have an error: the others are not searched twice.
            condition &= Q(text__icontains=word) | ~Q(error="") & Q(error__icontains=word)
        # Nobody finds what was said under `memory: false`.
        remembered = Q(options__memory=True) | Q(options__memory__isnull=True)
        note = f"Of the words the first {WORDS} are looked for." if len(words) > WORDS else ""
        return Finding(condition & remembered, note=note)


def _of_user(user: Any) -> Finding:
    theirs = Job.objects.filter(user=user)
    return Finding(_has("user", user.pk), _keys(theirs, "tenant", "-created_at"))


def _in_sessions(keys: list[int]) -> Finding:
    in_them = Job.objects.filter(session__in=keys)
    return Finding(Q(In(_unindexed("session"), keys)), _keys(in_them, "session"))


def _unindexed(field: str) -> Coalesce:
    """Return a field, for conditions of a walk: no index is gone by but that of primary keys.

    A database might take another one to be better, and read all jobs of a user for a few keys.
    """
    return Coalesce(F(field), F(field))


def _has(field: str, value: Any) -> Q:
    return Q(Exact(_unindexed(field), value))


def _keys(jobs: QuerySet[Any], *order: str) -> QuerySet[Any]:
    """Return a query for keys that goes by the index that has them in this order."""
    return jobs.order_by(*order).values_list("pk", flat=True)


def _midnight(day: Any) -> datetime:
    return timezone.make_aware(datetime.combine(day, time.min))
