"""What is stuck, or about to go wrong, each with where to look; found without long reading."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db.models import Q
from django.db.models.functions import Now

from chatflow.conf import conf
from chatflow.workflows import clock
from chatflow.workflows.ai.budget import RESPONSE_TOKENS
from chatflow.workflows.models import ACTIVE, ApprovalRequest, Cluster, DailyUsage, Job
from chatflow.workflows.registry import all_workflows
from chatflow.workflows.services import figures, workers
from chatflow.workflows.services.queues import QueueSize
from chatflow.workflows.sizes import duration_text

# Seconds for which a job may wait in a queue that is served.
LONG_WAIT = 60.0
# Seconds by which a lease may have run out: it is renewed at the last moment, or taken back.
LATE = timedelta(seconds=5)
# Seconds by which a job may have outrun its limit: it's stopped, and its end is stored.
OVERRUN = timedelta(seconds=10)
# Failures of an hour that are many: so many, and so many times their share of the day before.
FAILURES, RISE = 5, 2.0
SOON = timedelta(hours=1)
# For how long a loop that was held up is told of.
BLOCKED = timedelta(minutes=10)
# Rows that a look counts at most.
COUNTED = 1000


@dataclass(frozen=True)
class Trouble:
    """Something that somebody should look at.

    Args:
        text: what it is, in a sentence; with no word of a user or a model in it.
        kind: of which rows: the name of their model.
        where: the filter of the list of those rows, as the admin's pages have it.
        is_urgent: work stands still over it.
    """

    text: str
    kind: str = "job"
    where: dict[str, str] = field(default_factory=dict)
    is_urgent: bool = False


def troubles(sizes: Sequence[QueueSize], clusters: Sequence[Cluster]) -> list[Trouble]:
    """Return what is wrong, the most urgent first.

    Args:
        sizes: of the queues.
        clusters: those that live.
    """
    found = [
        *_unserved(sizes, clusters),
        *_lost(),
        *_overrunning(),
        *_waiting_long(sizes, clusters),
        *_failing(),
        *_blocked(clusters),
        *_expiring(),
        *_spent(),
    ]
    return sorted(found, key=lambda trouble: not trouble.is_urgent)


def serves(cluster: Cluster, queue: str) -> bool:
    """Say whether a cluster serves a queue; one that doesn't say serves all."""
    return not cluster.queues or queue in cluster.queues


def _unserved(sizes: Iterable[QueueSize], clusters: Sequence[Cluster]) -> Iterator[Trouble]:
    if not clusters:
        waiting = sum(size.waiting for size in sizes)
        words = f"{_jobs(waiting)} wait{_s(waiting)}." if waiting else "Nothing would be worked on."
        where = {"state__exact": "queued"} if waiting else {}
        yield Trouble(f"No cluster is alive. {words}", "job", where, True)
        return
    for size in sizes:
        if size.waiting and not any(serves(each, size.queue) for each in clusters):
            words = f"{_jobs(size.waiting)} wait{_s(size.waiting)} in queue {size.queue}"
            where = {"queue": size.queue, "state__exact": "queued"}
            yield Trouble(f"{words}, which nobody serves.", "job", where, True)


def _waiting_long(sizes: Iterable[QueueSize], clusters: Sequence[Cluster]) -> Iterator[Trouble]:
    for size in sizes:
        is_served = any(serves(each, size.queue) for each in clusters)
        if is_served and size.oldest_waiting > LONG_WAIT:
            words = (
                f"A job has waited in queue {size.queue} for {duration_text(size.oldest_waiting)}."
            )
            yield Trouble(words, "job", {"queue": size.queue, "state__exact": "queued"})


def _lost() -> Iterator[Trouble]:
    late = Job.objects.filter(state__in=ACTIVE, lease_until__lt=Now() - LATE).extra(
        where=["workflows_job.state IN ('queued', 'processing')"]
    )
    if count := late.values("pk")[:COUNTED].count():
        words = f"{_jobs(count)} {'has' if count == 1 else 'have'} lost the worker"
        text = f"{words}, and nobody has taken {'it' if count == 1 else 'them'} back yet."
        yield Trouble(text, "job", {"state__exact": "processing"}, True)


def _overrunning() -> Iterator[Trouble]:
    now = clock.now()
    limits = {each.name: each.max_execution_time for each in all_workflows()}
    # Each of them has run for as long, at least.
    over = now - timedelta(seconds=min(limits.values(), default=0)) - OVERRUN
    rows = workers.running().filter(Q(claimed_at__lt=over) | Q(ran_for__gt=0))
    outrun: Counter[str] = Counter()
    for name, since, before in rows.values_list("workflow", "claimed_at", "ran_for")[:COUNTED]:
        if name in limits and _ran(since, before, now) > limits[name] + OVERRUN.total_seconds():
            outrun[name] += 1
    for name, count in outrun.items():
        words = f"{_jobs(count)} of {name} {'has' if count == 1 else 'have'} run for longer"
        where = {"workflow": name, "state__exact": "processing"}
        yield Trouble(
            f"{words} than its limit of {duration_text(limits[name])}.", "job", where, True
        )


def _ran(since: datetime | None, before: float, now: datetime) -> float:
    return before + (max(0.0, (now - since).total_seconds()) if since is not None else 0.0)


def _failing() -> Iterator[Trouble]:
    lately, before = figures.failing()
    if lately.unsuccessful < FAILURES:
        return
    share, usual = (each.unsuccessful / max(1, each.ended) for each in (lately, before))
    if share > RISE * usual:
        words = f"{lately.unsuccessful} of {_jobs(lately.ended)} of the last hour failed"
        then = f", where it was {usual:.0%} in the day before" if before.ended else ""
        text = f"{words}: {share:.0%}{then}."
        yield Trouble(text, "job", {"failures": "1"})


def _blocked(clusters: Iterable[Cluster]) -> Iterator[Trouble]:
    since = (clock.now() - BLOCKED).timestamp()
    for cluster in clusters:
        for process in cluster.processes or ():
            if process["blocked_at"] > since:
                ago = duration_text(clock.now().timestamp() - process["blocked_at"])
                words = f"A coroutine blocked worker {process['pid']} on {cluster.host} {ago} ago"
                yield Trouble(f"{words}, and all that ran there; the log names it.", "cluster")


def _expiring() -> Iterator[Trouble]:
    now = clock.now()
    soon = ApprovalRequest.objects.open().filter(expires_at__gt=now, expires_at__lt=now + SOON)
    if count := soon.values("pk")[:COUNTED].count():
        words = f"{count} request{'' if count == 1 else 's'} for approval expire{_s(count)}"
        yield Trouble(f"{words} within the hour.", "approvalrequest")


def _spent() -> Iterator[Trouble]:
    spent = Q()
    if conf.AI_DAILY_REQUESTS:
        spent |= Q(requests__gte=conf.AI_DAILY_REQUESTS)
    if conf.AI_DAILY_TOKENS:
        # Any request reserves so many.
        spent |= Q(tokens__gt=conf.AI_DAILY_TOKENS - RESPONSE_TOKENS)
    if not spent:
        return
    today = DailyUsage.objects.filter(spent, day=clock.now().date())
    if count := today.values("pk")[:COUNTED].count():
        words = f"{count} user{'' if count == 1 else 's'} {'has' if count == 1 else 'have'}"
        yield Trouble(f"{words} used today's budget for models up.", "dailyusage")


def _jobs(count: int) -> str:
    return f"{count:,} job{'' if count == 1 else 's'}"


def _s(count: int) -> str:
    """Return the ending of a verb that goes with so many of a thing."""
    return "s" if count == 1 else ""
