"""The overview: what is stuck, how full the queues are, who works, and how the last jobs fared.

It is shown in parts, each of which is replaced when it has changed. Nobody sees a part of rows that
they may not view.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.auth import get_user_model
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import NoReverseMatch, get_script_prefix, reverse, set_script_prefix
from django.utils import timezone
from django.utils.http import urlencode

from chatflow.operations.charts import Chart, Series
from chatflow.workflows import clock
from chatflow.workflows.models import Cluster
from chatflow.workflows.services import queues
from chatflow.workflows.services.figures import Report, Stretch, Total, report
from chatflow.workflows.services.queues import QueueSize
from chatflow.workflows.services.troubles import Trouble, serves, troubles
from chatflow.workflows.services.workers import Crew, Process, Work, crews
from chatflow.workflows.sizes import duration_text, size_text
from chatflow.workflows.users import active_users

# In their order on the page. The word is also the name of the template.
PARTS = ("troubles", "figures", "queues", "workers")
# The rows of which a part of the page tells.
MODELS = ("job", "cluster", "approvalrequest", "dailyusage", "taskrun")
# How a moment is written, by how long the slots are.
TIMES = {Stretch.HOUR: "%H:%M", Stretch.DAY: "%H:%M", Stretch.WEEK: "%a %H:%M"}
WORDS = {Stretch.HOUR: "hour", Stretch.DAY: "day", Stretch.WEEK: "week"}
# Works of one process that are named.
NAMED = 3


@dataclass(frozen=True)
class Audience:
    """Who looks at the overview, as far as what they see depends on it: those alike see the same.

    Args:
        stretch: over what time.
        may: the models whose rows they may view.
        site: the name of the admin's site.
        prefix: of all paths.
    """

    stretch: Stretch
    may: frozenset[str]
    site: str = "admin"
    prefix: str = "/"


def permitted(user: Any) -> frozenset[str]:
    """Return which of the overview's models *user* may view; nothing, if not jobs."""
    found = {name for name in MODELS if user.has_perm(f"chatflow_workflows.view_{name}")}
    return frozenset(found) if "job" in found else frozenset()


def permitted_now(user_id: Any) -> frozenset[str]:
    """Return the same of the user of that key, as the database has it now."""
    user: Any = (
        get_user_model()
        ._default_manager.filter(pk__in=active_users().filter(pk=user_id).values("pk"))
        .first()
    )
    return permitted(user) if user is not None and getattr(user, "is_staff", False) else frozenset()


def audience_of(request: HttpRequest, site: str) -> Audience:
    """Return the audience that a request is of."""
    asked = request.GET.get("over", "")
    stretch = next((each for each, word in WORDS.items() if word == asked), Stretch.HOUR)
    return Audience(stretch, permitted(request.user), site, get_script_prefix())


@dataclass(frozen=True)
class Look:
    """What a look at the database has found."""

    at: datetime
    sizes: list[QueueSize]
    clusters: list[Cluster]
    crews: list[Crew]
    troubles: list[Trouble]
    reports: Mapping[Stretch, Report]


def look(stretches: Collection[Stretch]) -> Look:
    """Look at the database, once for all who watch.

    Args:
        stretches: the times of which the figures are wanted.
    """
    sizes, clusters = queues.sizes(), list(queues.clusters())
    return Look(
        at=clock.now(),
        sizes=sizes,
        clusters=clusters,
        crews=crews(clusters),
        troubles=troubles(sizes, clusters),
        reports={stretch: report(stretch) for stretch in stretches},
    )


def render(found: Look, audience: Audience) -> dict[str, str]:
    """Return the parts of the page, as HTML by their names."""
    set_script_prefix(audience.prefix)
    told = {
        "troubles": {"troubles": _list_troubles(found, audience)},
        "figures": _describe_figures(found.reports[audience.stretch]),
        "queues": {"queues": _list_queues(found, audience)},
        "workers": {"crews": _list_crews(found, audience)},
    }
    if "cluster" not in audience.may:
        del told["workers"]
    common = {"over": WORDS[audience.stretch], "at": found.at}
    return {
        name: render_to_string(f"chatflow/operations/overview/{name}.html", {**common, **context})
        for name, context in told.items()
    }


def render_all(audiences: Collection[Audience]) -> dict[Audience, dict[str, str]]:
    """Look, and return the parts of the page for each audience."""
    found = look({audience.stretch for audience in audiences})
    return {audience: render(found, audience) for audience in audiences}


def context_of(request: HttpRequest, site: str) -> dict[str, Any]:
    """Return what the page's template needs, for those who may see it; else nothing."""
    audience = audience_of(request, site)
    if not audience.may:
        return {}
    found = look([audience.stretch])
    parts = render(found, audience)
    stream = _address("chatflow_workflows_figures_stream", audience)
    return {
        "overview": [(name, parts[name]) for name in PARTS if name in parts],
        "overview_at": found.at,
        "overview_over": WORDS[audience.stretch],
        "overview_stretches": list(WORDS.values()),
        "overview_stream": f"{stream}?over={WORDS[audience.stretch]}",
    }


def _address(name: str, audience: Audience, **kwargs: Any) -> str:
    return reverse(f"admin:{name}", current_app=audience.site, **kwargs)


def _list_address(kind: str, where: Mapping[str, str], audience: Audience) -> str:
    """Return the address of a filtered list; empty where it isn't for them, or there is none."""
    if kind not in audience.may:
        return ""
    try:
        address = _address(f"chatflow_workflows_{kind}_changelist", audience)
    except NoReverseMatch:
        return ""
    return f"{address}?{urlencode(where)}" if where else address


# What is stuck.


def _list_troubles(found: Look, audience: Audience) -> list[dict[str, Any]]:
    return [
        {
            "text": trouble.text,
            "is_urgent": trouble.is_urgent,
            "address": _list_address(trouble.kind, trouble.where, audience),
        }
        for trouble in found.troubles
        if trouble.kind in audience.may
    ]


# The queues.


def _list_queues(found: Look, audience: Audience) -> list[dict[str, Any]]:
    """Return a row for each queue that there is, or of which there are figures."""
    sizes = {size.queue: size for size in found.sizes}
    totals = found.reports[audience.stretch].queues
    return [
        {
            "size": sizes.get(name) or QueueSize(queue=name),
            "oldest": duration_text(sizes[name].oldest_waiting)
            if name in sizes and sizes[name].oldest_waiting
            else "–",
            "served_by": sum(serves(each, name) for each in found.clusters),
            "waiting_address": _list_address(
                "job", {"queue": name, "state__exact": "queued"}, audience
            ),
            "running_address": _list_address(
                "job", {"queue": name, "state__exact": "processing"}, audience
            ),
            **_describe(totals.get(name) or Total()),
        }
        for name in sorted(sizes.keys() | totals.keys())
    ]


def _describe(total: Total) -> dict[str, str]:
    """Return the figures of some jobs, in words."""
    return {
        "ended": f"{total.ended:,}",
        "unsuccessful": f"{total.unsuccessful:,}",
        "share": f"{total.unsuccessful / total.ended:.1%}" if total.unsuccessful else "",
        "retried": f"{total.retried + total.lost:,}",
        "waited": _pair(total.waited(0.5), total.waited(0.95)),
        "ran": _pair(total.ran(0.5), total.ran(0.95)),
        "tokens": _short(total.tokens),
        "cost": _cost(total.cost_usd),
    }


def _pair(half: float | None, most: float | None) -> str:
    if half is None or most is None:
        return "–"
    # The bounds of the histogram's buckets in which these jobs are.
    return f"~ {duration_text(half)} / {duration_text(most)}"


def _short(count: int) -> str:
    """Return a large number as people read it."""
    for size, unit in ((1_000_000_000, "G"), (1_000_000, "M"), (1000, "k")):
        if count >= 10 * size:
            return f"{count / size:,.0f} {unit}"
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return str(count)


def _cost(dollars: float) -> str:
    if not dollars:
        return "–"
    return f"${dollars:,.2f}" if dollars >= 0.1 else f"${dollars:.4f}"


# The figures, as charts and as a table.


def _describe_figures(found: Report) -> dict[str, Any]:
    return {
        "charts": [(chart, value) for chart, value in _charts(found)],
        "rows": [
            {
                "time": _time(found.stretch, since),
                "completed": f"{total.completed:,}",
                "failed": f"{total.failed:,}",
                "timeout": f"{total.timeout:,}",
                "cancelled": f"{total.cancelled:,}",
                **_describe(total),
            }
            for since, total in reversed(found.slots.items())
            if total.ended
        ],
        "workflows": [
            {"name": name, **_describe(total)} for name, total in sorted(found.workflows.items())
        ],
    }


def _charts(found: Report) -> list[tuple[Chart, str]]:
    """Return the charts, each with what it comes to; of models only where any was called."""
    over, whole, slots = WORDS[found.stretch], found.whole, list(found.slots.values())
    moments = list(found.slots)
    times = _time(found.stretch, moments[0]), _time(found.stretch, moments[-1])

    def draw(
        key: str, title: str, value: str, top: Any, *series: Series, stacked: bool = True
    ) -> tuple[Chart, str]:
        summary = f"Over the last {over}: {value}."
        chart = Chart(key, title, summary, series, "", times, stacked)
        return Chart(key, title, summary, series, top(chart.most()), times, stacked), value

    def parts(measure: str) -> list[Series]:
        return [
            Series(name, [getattr(slot, measure)(part) for slot in slots])
            for name, part in (("p50", 0.5), ("p95", 0.95))
        ]

    ended = f"{whole.ended:,}, of which {whole.unsuccessful:,} failed"
    tokens = f"{_short(whole.input_tokens)} in, {_short(whole.output_tokens)} out"
    charts = [
        draw(
            "ended",
            "Jobs that ended",
            ended,
            lambda most: f"{most:,.0f}",
            Series("completed", [slot.completed for slot in slots]),
            Series("cancelled", [slot.cancelled for slot in slots]),
            Series("failed", [slot.unsuccessful for slot in slots]),
        ),
        draw(
            "waited",
            "Waiting, p50 / p95",
            _pair(whole.waited(0.5), whole.waited(0.95)),
            duration_text,
            *parts("waited"),
            stacked=False,
        ),
        draw(
            "ran",
            "Running, p50 / p95",
            _pair(whole.ran(0.5), whole.ran(0.95)),
            duration_text,
            *parts("ran"),
            stacked=False,
        ),
    ]
    if not (whole.tokens or whole.cost_usd):
        # No model was called, or the offline one alone.
        return charts
    return [
        *charts,
        draw(
            "tokens",
            "Tokens",
            tokens,
            lambda most: _short(int(most)),
            Series("input", [slot.input_tokens for slot in slots]),
            Series("output", [slot.output_tokens for slot in slots]),
        ),
        draw(
            "cost",
            "Cost",
            _cost(whole.cost_usd),
            _cost,
            Series("cost", [slot.cost_usd for slot in slots]),
        ),
    ]


def _time(stretch: Stretch, moment: datetime) -> str:
    return f"{timezone.localtime(moment):{TIMES[stretch]}}"


# Who works.


def _list_crews(found: Look, audience: Audience) -> list[dict[str, Any]]:
    return [
        {
            "name": f"{crew.host}, pid {crew.pid}" if crew.host else "Web processes and others",
            "serves": _serves(crew) if crew.host else "sync jobs",
            "alive": duration_text(max(0.0, (found.at - crew.started_at).total_seconds()))
            if crew.started_at is not None
            else "",
            "processes": [_describe_process(process, audience) for process in crew.processes],
        }
        for crew in found.crews
    ]


def _serves(crew: Crew) -> str:
    if crew.queues is None:
        return "an earlier version, which doesn't say what it serves"
    if not crew.queues:
        return "all queues"
    return f"queue{'' if len(crew.queues) == 1 else 's'} {', '.join(crew.queues)}"


def _describe_process(process: Process, audience: Audience) -> dict[str, Any]:
    return {
        "host": process.host,
        "pid": process.pid or "–",
        "kind": "coroutines" if process.is_async else "plain jobs",
        "memory": "–" if process.memory is None else size_text(process.memory),
        "work": [_describe_work(work, audience) for work in process.work[:NAMED]],
        "more": max(0, len(process.work) - NAMED),
    }


def _describe_work(work: Work, audience: Audience) -> dict[str, str]:
    """Return what runs, with a link for those who may follow it."""
    address = ""
    if work.pk is not None:
        address = _address("chatflow_workflows_job_change", audience, args=(work.pk,))
    elif "taskrun" not in audience.may:
        return {"name": "A task", "address": "", "since": duration_text(work.seconds)}
    return {"name": work.name, "address": address, "since": duration_text(work.seconds)}
