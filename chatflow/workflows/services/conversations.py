"""What a user's list shows of each conversation: its title, what it works on, what it asks."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from typing import Any

from django.db.models import Max, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce, Left

from chatflow.workflows.dialogue.excerpts import cut, find_words
from chatflow.workflows.models import ACTIVE, DeletedSession, Job, Message, Session, State
from chatflow.workflows.store import changes
from chatflow.workflows.store.database import get_database
from chatflow.workflows.texts import REMOVED

# Characters of the first message that a title may have.
TITLE_LENGTH = 80
# Changed sessions that one look brings, to bound the memory, and as many deleted ones; and sessions
# that a search reads at once.
SLICE = 100
# All of a job that a list shows, and what its frames are made of.
SHOWN = (
    "public_id",
    "session_id",
    "user_id",
    "workflow",
    "state",
    "progress",
    "last_seq",
    "awaiting",
)


@dataclass(frozen=True)
class Conversation:
    """A session as its owner's list shows it.

    Args:
        session: it.
        title: its own or its first words.
        active: the job that it works on, or else the one that is next.
        last: the latest job.
        awaiting: the kind of answer that is wanted, if any.
    """

    session: Session
    title: str
    active: Job | None
    last: Job | None
    awaiting: str | None


def describe(sessions: Iterable[Session]) -> list[Conversation]:
    """Return what the list shows of the sessions; a few queries for all of them."""
    rows = list(sessions)
    keys = [row.pk for row in rows]
    untitled = Session.objects.filter(pk__in=keys, title="").annotate(beginning=beginning())
    titles = dict(untitled.values_list("pk", "beginning"))
    jobs = Job.objects.only(*SHOWN)
    newest = (
        Job.objects.filter(session__in=keys).order_by().values("session").annotate(latest=Max("pk"))
    )
    last = {job.session_id: job for job in jobs.filter(pk__in=[row["latest"] for row in newest])}
    working = list(jobs.filter(session__in=keys, state__in=ACTIVE).order_by("-pk"))
    # The one that runs last, as it goes before all that wait.
    working.sort(key=lambda job: job.state == State.PROCESSING)
    active = {job.session_id: job for job in working}
    open_jobs = [row.open_job_id for row in rows if row.open_job_id is not None]
    asking = {job.pk: (job.awaiting or {}).get("kind") for job in jobs.filter(pk__in=open_jobs)}
    return [
        Conversation(
            session=row,
            title=title_of(row, titles.get(row.pk)),
            active=active.get(row.pk),
            last=last.get(row.pk),
            awaiting=asking.get(row.open_job_id) if row.open_job_id else None,
        )
        for row in rows
    ]


def beginning() -> Left:
    """Return the expression for what a session's first message that stands begins with.

    Where nothing was said yet, it is the name of the first file that was brought to it.
    """
    said = Message.objects.filter(session=OuterRef("pk"), role=Message.Role.USER, cut=False)
    brought = Session.objects.filter(pk=OuterRef("pk")).order_by("documents__created_at")
    first = Coalesce(
        Subquery(said.order_by("pk").values("content")[:1]),
        Subquery(brought.values("documents__title")[:1]),
    )
    return Left(first, 4 * TITLE_LENGTH)


def title_of(session: Session, first: str | None) -> str:
    """Return a session's title: its owner's own, or else its first words.

    Args:
        session: the session.
        first: its beginning().
    """
    return session.title or cut(first or "", TITLE_LENGTH)


def search(sessions: QuerySet[Session], query: str, most: int) -> dict[int, str]:
    """Return the first of the sessions whose title or messages have all words of *query*.

    No further ones are read than needed.

    Args:
        sessions: in their order.
        query: words; in any language, and any case.
        most: how many to return.

    Returns:
        By a session's primary key, the place where they stand; the latest of several.
    """
    keys = list(sessions.values_list("pk", flat=True))
    found: dict[int, str] = {}
    for start in range(0, len(keys), SLICE):
        part = keys[start : start + SLICE]
        places = _search_in(part, query)
        found |= {key: places[key] for key in part if key in places}
        if len(found) >= most:
            break
    return dict(islice(found.items(), most))


def _search_in(keys: Sequence[int], query: str) -> dict[int, str]:
    found: dict[int, str] = {}
    texts = Session.objects.filter(pk__in=keys).exclude(title="").values_list("pk", "title")
    for session, text in texts:
        if excerpt := find_words(text, query):
            found[session] = excerpt
    said = Message.objects.filter(session__in=keys, cut=False).exclude(content=REMOVED)
    messages = said.order_by("session", "-pk")
    for session, text in messages.values_list("session_id", "content").iterator():
        if session not in found and (excerpt := find_words(text, query)):
            found[session] = excerpt
    return found


@dataclass(frozen=True)
class Changes:
    """What has happened to a user's sessions after a cursor.

    Args:
        changed: the sessions, with the numbers of their changes, in that order.
        deleted: the keys of those that are gone, likewise.
        jobs: the primary keys of the jobs under way in *changed*, and of new ones that have ended.
        upto: the number up to which all changes are certain.
        head: once all up to this number are certain, every change is that was begun before now.
        end: the number up to which this has all that is known; None if that is all there is.
    """

    changed: list[Conversation]
    deleted: list[DeletedSession]
    jobs: list[int]
    upto: int
    head: int
    end: int | None


def look(
    user_id: Any, after: int, newer_than: int, workflow: str = "", tenant: str = ""
) -> Changes:
    """Return the next changes to a user's sessions.

    Args:
        user_id: the user's primary key.
        after: the number of changes after which they begin.
        newer_than: jobs with higher primary keys are told of though they have ended.
        workflow: whose jobs to tell of; empty for those of all.
        tenant: the organisation whose sessions are looked at; empty for those of none.
    """
    # The bound leaves out the numbers of another server, from which the database was restored.
    # In this order: what commits in between is seen, and isn't certain yet.
    now = changes.certain(user_id)
    newer = Q(user=user_id, tenant=tenant, changed__gt=after)
    known = newer & Q(changed__lt=now.below)
    gone, changed, end = _read_slice(known)
    told = newer if end is None else newer & Q(changed__lte=end)
    alive = set(
        Session.objects.visible_to(user_id, tenant)
        .filter(key__in=[row.key for row in gone])
        .order_by()
        .values_list("key", flat=True)
    )
    return Changes(
        changed=describe(changed),
        deleted=[row for row in gone if row.key not in alive],
        jobs=_find_jobs(told, newer_than, workflow),
        upto=now.upto,
        # Where one writes at a time, nothing is begun that isn't certain.
        head=now.below - 1 if get_database().locks_rows else now.upto,
        end=end,
    )


def _read_slice(known: Q) -> tuple[list[DeletedSession], list[Session], int | None]:
    """Return the first rows by their changes, and the number up to which these are all.

    It is None if there are no others.
    """
    deleted = DeletedSession.objects.filter(known).order_by("changed")
    sessions = Session.objects.filter(known).order_by("changed")
    gone, changed = list(deleted[:SLICE]), list(sessions[:SLICE])
    ends = [rows[-1].changed for rows in (gone, changed) if len(rows) == SLICE]
    if not ends:
        return gone, changed, None
    # Once more, as a single transaction may have given its number to more than fit in.
    upto = Q(changed__lte=min(ends))
    return list(deleted.filter(upto)), list(sessions.filter(upto)), min(ends)


def _find_jobs(sessions: Q, newer_than: int, workflow: str) -> list[int]:
    """Return the primary keys of the jobs to tell of in those sessions, in order.

    A session that changed again past the bound of the look is among the last ones: else a job that
    it has had before would be missed if it ends now.
    """
    jobs = Job.objects.filter(session__in=Session.objects.filter(sessions))
    told = jobs.filter(_of(workflow), Q(state__in=ACTIVE) | Q(pk__gt=newer_than))
    return list(told.order_by("pk").values_list("pk", flat=True))


def _of(workflow: str) -> Q:
    return Q(workflow=workflow) if workflow else Q()


def is_too_old(user: Any, number: int, age: timedelta) -> bool:
    """Say whether a cursor can't be gone on from.

    Deletions may have been forgotten since, or another server has numbered the changes.

    Args:
        user: the user.
        number: of the change up to which the client has all.
        age: of the cursor.
    """
    return age > changes.CURSOR_KEPT or number >= changes.certain(user.pk).below


def latest(user: Any) -> int:
    """Return the number up to which all changes of the user's sessions are certain just now."""
    return changes.certain(user.pk).upto


def under_way(user: Any, workflow: str = "", tenant: str = "") -> list[int]:
    """Return the primary keys of the user's jobs under way, the oldest first.

    Args:
        user: whose.
        workflow: whose jobs; empty for those of all.
        tenant: the organisation for which they act; empty for none.
    """
    mine = Job.objects.visible_to(user, tenant).filter(_of(workflow), session__user=user)
    return list(mine.active().order_by("pk").values_list("pk", flat=True))


def load(keys: Sequence[int], workflow: str = "") -> list[Job]:
    """Return the jobs of those primary keys, in order, as far as a stream wants to know them.

    Args:
        keys: a few; those of jobs that are gone, or of another workflow by now, are left out.
        workflow: as for under_way().
    """
    return list(Job.objects.filter(_of(workflow), pk__in=keys).only(*SHOWN).order_by("pk"))
