"""Doing something with many jobs: what will become of them is shown first, then it is done.

As much as one request may take is done at once. The page then says how many are left, and goes on
from there: by a button, or by itself where there is JavaScript. So a closed browser stops it.
Whoever loads the page again in the middle goes over the same jobs once more, with which nothing is
done twice: each act leaves a job alone with which it was done already.
"""

import time
from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from django import forms
from django.core import signing
from django.http import HttpRequest, QueryDict

from chatflow.operations.admin.bulk_acts import ACTS, STAYS, BulkAct, Order
from chatflow.operations.admin.filters import STATES, JobFilters
from chatflow.operations.admin.walks import Found, Walk, bounds
from chatflow.operations.roles import may_read_texts
from chatflow.workflows.models import Job
from chatflow.workflows.services import queues

# Jobs that are counted before; and as many seconds that may take.
COUNTED = 10_000
COUNTING = 0.15
# Seconds that one request works for, and one of many that follow by themselves; and how many jobs
# it looks up at a time.
WORKS = 8.0
WORKS_BRIEFLY = 1.5
AT_A_TIME = 100
# As the salt of what a page carries on: nobody else's words are taken for it.
SALT = "chatflow.operations.bulk"


def allowed(user: Any) -> list[BulkAct]:
    """Return the acts that a user may do."""
    return [act for act in ACTS if act.is_allowed(user)]


class BulkForm(forms.Form):
    """What the one who acts has to say, and where they stand in it."""

    use_required_attribute = False

    queue = forms.ChoiceField(label="To the queue", required=False)
    reason = forms.CharField(
        label="Why (it goes on record)",
        max_length=500,
        required=False,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )

    def __init__(self, data: QueryDict | None, *, moves: bool) -> None:
        super().__init__(data, auto_id="bulk-%s")
        if moves:
            names = sorted(each.queue for each in queues.sizes())
            self.fields["queue"] = forms.ChoiceField(
                label="To the queue", choices=[(name, name) for name in names]
            )
        else:
            del self.fields["queue"]


@dataclass(frozen=True)
class Standing:
    """How far an act has come: what has become of how many jobs, and from which key it goes on."""

    below: int
    outcomes: dict[str, int]

    @property
    def done(self) -> int:
        return sum(self.outcomes.values())

    def pack(self) -> str:
        return signing.dumps([self.below, self.outcomes], salt=SALT)

    @classmethod
    def unpack(cls, packed: str) -> "Standing":
        """Return what pack() made.

        Raises:
            BadSignature: it was not made by that.
        """
        below, outcomes = signing.loads(packed, salt=SALT)
        return cls(below, outcomes)


class Bulk:
    """The page of an act; its template asks for it by these names.

    Args:
        request: a POST. The list's filters stand in its query, the rest in its body.
        act: what is to be done.
    """

    def __init__(self, request: HttpRequest, act: BulkAct) -> None:
        self.request, self.act = request, act
        self.is_all = request.POST.get("scope") == "all"
        self.selected = [key for key in request.POST.getlist("job") if key.isdecimal()]
        self.filters = JobFilters(request.GET, may_read_texts=may_read_texts(request.user))
        self.is_confirmed = "confirmed" in request.POST
        # One of many requests that follow by themselves.
        self.is_brief = "brief" in request.POST
        self.form = BulkForm(request.POST if self.is_confirmed else None, moves=act.name == "move")
        self.made: list[Job] = []
        if "standing" in request.POST:
            self.standing = Standing.unpack(request.POST["standing"])
        else:
            # Jobs that are sent from now on are not meant.
            self.standing = Standing(bounds()[1], {})

    @property
    def query(self) -> str:
        return self.filters.query.urlencode()

    @cached_property
    def walk(self) -> Walk:
        """The walk through the jobs that are still to be done."""
        if self.is_all:
            return self.filters.walk(self.standing.below)
        keys = sorted({int(key) for key in self.selected if len(key) <= 18})
        jobs = Job.objects.all()
        return Walk(jobs=jobs, from_key=0, below=self.standing.below, keys=keys)

    @cached_property
    def counted(self) -> Found:
        return self.walk.find(COUNTED, ("pk", "state"), COUNTING)

    @property
    def count(self) -> int:
        return len(self.counted.rows)

    @property
    def total(self) -> int:
        """How many jobs it is about, those that are done included."""
        return self.standing.done + self.count

    @property
    def is_counted(self) -> bool:
        """Whether all were counted that there are."""
        return self.counted.is_all

    @property
    def expected(self) -> list[tuple[str, int, str, bool]]:
        """Each state with its jobs, what becomes of them, and whether that is anything."""
        states = Counter(state for _, state in self.counted.rows)
        found = []
        for state, word in STATES:
            if states[state]:
                outcome = self.act.outcome(state)
                found.append((word, states[state], outcome, outcome != STAYS))
        return found

    def work(self) -> bool:
        """Do as much as a request may take; return whether it's all."""
        data = self.form.cleaned_data
        order = Order(self.request, data["reason"].strip(), data.get("queue", ""))
        until = time.monotonic() + (WORKS_BRIEFLY if self.is_brief else WORKS)
        self.made = order.made
        outcomes, walk, is_all = Counter(self.standing.outcomes), self.walk, False
        while not is_all and time.monotonic() < until:
            found = walk.find(AT_A_TIME)
            below = found.below
            for start in range(0, len(found.rows), self.act.together):
                jobs = found.rows[start : start + self.act.together]
                outcomes.update(self.act.do(jobs, order))
                below = jobs[-1].pk
                if time.monotonic() >= until:
                    break
            else:
                below, is_all = found.below, found.is_all
            walk = replace(walk, below=below)
        self.standing = Standing(walk.below, dict(outcomes))
        # What is left is counted anew.
        self.walk = walk
        self.__dict__.pop("counted", None)
        return is_all or (self.is_counted and not self.count)
