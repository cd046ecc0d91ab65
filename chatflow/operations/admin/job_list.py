"""The list of jobs: a page of rows, found by filters, from the newest back."""

import re
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from django.contrib.auth import get_user_model
from django.http import HttpRequest
from django.utils.http import urlencode

from chatflow.conf import conf
from chatflow.operations.admin import bulk
from chatflow.operations.admin.filters import ASKS, JobFilters
from chatflow.operations.admin.job_rows import COLUMNS, Row, moment, titles
from chatflow.operations.admin.walks import Found
from chatflow.operations.job_page import wording
from chatflow.operations.roles import may_read_texts
from chatflow.workflows.models import Job, State

PAGE = 50
# Seconds that a list looks for its jobs when it is told to take its time.
PATIENCE = 5.0
# A primary key, as a URL has it.
KEY = re.compile("[0-9]{1,18}", re.ASCII)

# What people look for most, as queries of its own.
TABS: tuple[tuple[str, dict[str, list[str]]], ...] = (
    ("All", {}),
    ("Running", {"state": [State.PROCESSING]}),
    ("Waiting", {"state": [State.QUEUED]}),
    ("Failed", {"state": [State.FAILED, State.TIMEOUT]}),
    (wording.ASKS, {"state": [ASKS]}),
)


@dataclass(frozen=True)
class Tab:
    name: str
    query: str
    is_open: bool


@dataclass(frozen=True)
class Chip:
    """A filter that is set, and the query of the list without it."""

    label: str
    value: str
    without: str


class JobList:
    """What the page of a list shows; its template asks for it by these names.

    Args:
        request: for the page, with the filters in its query.
    """

    def __init__(self, request: HttpRequest) -> None:
        self.request = request
        self.may_read_texts = may_read_texts(request.user)
        self.filters = JobFilters(request.GET, may_read_texts=self.may_read_texts)
        self.query = self.filters.query.urlencode()
        before = request.GET.get("before", "")
        self.before = int(before) if KEY.fullmatch(before) else None
        self.has_tenants = bool(conf.TENANT)

    @property
    def form(self) -> Any:
        return self.filters.form

    @cached_property
    def found(self) -> Found:
        walk = self.filters.walk(self.before)
        related = walk.jobs.select_related("user", "feedback", "session").only(
            *COLUMNS,
            "session__open_job",
            "user__" + get_user_model().USERNAME_FIELD,
            "feedback__value",
        )
        seconds = PATIENCE if "patient" in self.request.GET else None
        return replace(walk, jobs=related).find(PAGE, seconds=seconds)

    @cached_property
    def rows(self) -> list[Row]:
        named = titles()
        return [Row(job, self.may_read_texts, named) for job in self.found.rows]

    @property
    def older(self) -> str:
        """The query of the next page; empty where there is none."""
        if self.found.is_all:
            return ""
        query = self.filters.query.copy()
        query["before"] = str(self.found.below)
        return query.urlencode()

    @property
    def patiently(self) -> str:
        """The query of the next page, that takes its time."""
        return f"{self.older}&patient=1"

    @property
    def is_full(self) -> bool:
        return len(self.rows) == PAGE

    @cached_property
    def reached(self) -> str:
        """The moment back to which the jobs were looked through; empty where to the last one."""
        if self.found.is_all:
            return ""
        next_one = Job.objects.filter(pk__gte=self.found.below).order_by("pk")
        sent = next_one.values_list("created_at", flat=True).first()
        return moment(sent) if sent else ""

    @property
    def tabs(self) -> list[Tab]:
        """The usual views; each keeps the other filters."""
        others = self.filters.query.copy()
        now = set(others.pop("state", []))
        return [
            Tab(
                name,
                "&".join(filter(None, [urlencode(query, doseq=True), others.urlencode()])),
                _covers(set(query.get("state", [])), now),
            )
            for name, query in TABS
        ]

    @property
    def chips(self) -> list[Chip]:
        return [
            Chip(label, value, self.filters.without(name))
            for name, label, value in self.filters.chosen()
        ]

    @property
    def link(self) -> str:
        """The address of this list, for others and for later."""
        path = self.request.path + (f"?{self.query}" if self.query else "")
        return self.request.build_absolute_uri(path)

    @property
    def acts(self) -> list[Any]:
        """What the one who looks may do with jobs."""
        return bulk.allowed(self.request.user)


def _covers(view: set[str], states: set[str]) -> bool:
    """Say whether a view is the one that some states belong to; all of them to that without any."""
    return states <= view and bool(states) == bool(view)
