"""All that is kept of a person: taken along whole, or deleted whole.

`PARTS` names every kind of row that is a user's; a test walks the models for one that is missing.
"""

import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.contrib.contenttypes.models import ContentType
from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import Model, Q, QuerySet

from chatflow.models import Access, Tally, Token
from chatflow.operations.audit import id_of
from chatflow.operations.models import Act
from chatflow.workflows.knowledge.models import Attachment, Chunk, Document, UnreadFile
from chatflow.workflows.models import (
    ActionUse,
    ApprovalRequest,
    DailyUsage,
    DeletedSession,
    Event,
    Feedback,
    Job,
    Message,
    Session,
    Step,
    UsageFigures,
    UsageSums,
)
from chatflow.workflows.services import delete_session
from chatflow.workflows.users import has_field

# Rows that are held in memory at once.
CHUNK = 500
# Limits that are counted by a user's key.
COUNTED = ("send", "upload", "upload-bytes")
# What is said of a deletion, and how it is called.
TOLD = (("sessions", "conversations"), ("jobs", "jobs"), ("documents", "documents"))


@dataclass(frozen=True)
class Part:
    """A kind of row that a user has.

    Args:
        model: it.
        paths: from it to the user.
        left_out: columns that the export leaves out: what is made of others for searching, and
            what would let somebody in.
    """

    model: type[Model]
    paths: tuple[str, ...] = ("user",)
    left_out: tuple[str, ...] = ()

    def of(self, user: Any) -> "QuerySet[Any]":
        """Return the user's rows, in order."""
        mine = Q()
        for path in self.paths:
            mine |= Q(**{path: user.pk})
        return self.model._base_manager.filter(mine).order_by("pk").defer(*self.left_out)

    def count(self, user: Any, most: int) -> int:
        """Return how many rows the user has; most + 1 if there are more than that."""
        found, counted = 0, Q()
        for path in self.paths:
            # One after the other: for both in one condition all rows are read.
            mine = self.model._base_manager.filter(**{path: user.pk}).exclude(counted)
            found += mine.order_by().values("pk")[: most + 1 - found].count()
            counted |= Q(**{path: user.pk})
        return found

    @property
    def is_own(self) -> bool:
        """Whether the rows are found without looking through others of the user's."""
        return not any("__" in path for path in self.paths)


OF_FILES = ("owner", "session__user")
PARTS: dict[str, Part] = {
    "sessions": Part(Session),
    "deleted_sessions": Part(DeletedSession),
    "messages": Part(Message, ("session__user",)),
    "attachments": Part(Attachment, ("message__session__user",)),
    "jobs": Part(Job),
    "steps": Part(Step, ("job__user",)),
    "events": Part(Event, ("job__user",)),
    "feedback": Part(Feedback, ("job__user",)),
    "actions_used": Part(ActionUse, ("offered_by__user",)),
    "approvals": Part(ApprovalRequest),
    "usage": Part(DailyUsage),
    "usage_figures": Part(UsageFigures),
    "usage_sums": Part(UsageSums),
    # Their bytes are files of their own.
    "documents": Part(Document, OF_FILES, ("content",)),
    "chunks": Part(
        Chunk,
        tuple(f"document__{path}" for path in OF_FILES),
        ("topics", "terms", "embedding"),
    ),
    "unread_files": Part(UnreadFile, ("owner",)),
    "tokens": Part(Token, ("user",), ("digest", "token_key")),
    "access": Part(Access),
}


def export_person(user: Any, to: IO[bytes]) -> dict[str, int]:
    """Write all that is kept of a person as a ZIP: a file of JSON lines for each kind, and theirs.

    Args:
        user: whose.
        to: a file to write to.

    Returns:
        How many rows of each kind there are.
    """
    counts = {}
    with zipfile.ZipFile(to, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("account.json", _dump(_account(user), indent=2))
        sources = {name: _rows(part, user) for name, part in PARTS.items()}
        sources["tallies"] = map(_as_json, _tallies(user).iterator())
        sources["acts"] = _acts_about(user)
        for name, rows in sources.items():
            with archive.open(f"{name}.jsonl", "w") as file:
                counts[name] = 0
                for row in rows:
                    file.write(f"{_dump(row)}\n".encode())
                    counts[name] += 1
        for document in PARTS["documents"].of(user).defer(None).iterator(chunk_size=1):
            # A name that was uploaded may lead anywhere, or be another one's.
            archive.writestr(f"files/{document.pk}.{document.kind}", bytes(document.content))
    return counts


def delete_person(user: Any) -> dict[str, int]:
    """Delete a person, and all that is kept of them.

    Their jobs are cancelled first. What stays is the log of acts, which names no one that an act
    was done to, and has the names of the staff who did them.

    Args:
        user: whose.

    Returns:
        How many rows of each kind there were.

    Raises:
        ProtectedError: rows of the project's own keep the account; what is Chatflow's is gone.
    """
    counts = {name: PARTS[name].of(user).count() for name, _ in TOLD}
    _forget_history(user)
    if has_field("is_active"):
        # Nothing new begins, and tokens and streams end.
        user.is_active = False
        user.save(update_fields=["is_active"])
    while session := Session.objects.filter(user=user.pk).order_by("pk").first():
        delete_session(session)
    for name in ("documents", "tokens"):
        PARTS[name].of(user).delete()
    _tallies(user).delete()
    # Another one of the row: this one keeps its key, for the log of acts.
    get_user_model()._base_manager.get(pk=user.pk).delete()
    return counts


def told(counts: dict[str, int]) -> str:
    """Say in figures how much was kept of a person."""
    return ", ".join(f"{word}: {counts[name]}" for name, word in TOLD) + "."


def _rows(part: Part, user: Any) -> Iterator[dict[str, Any]]:
    return (_as_json(row, part.left_out) for row in part.of(user).iterator(CHUNK))


def _as_json(row: Model, left_out: tuple[str, ...] = ()) -> dict[str, Any]:
    fields = row._meta.concrete_fields
    return {each.name: getattr(row, each.attname) for each in fields if each.name not in left_out}


def _account(user: Any) -> dict[str, Any]:
    """Return a user's own row, and groups; but no password."""
    groups = getattr(user, "groups", None)
    return _as_json(user, ("password",)) | {
        "groups": [str(group) for group in groups.all()] if groups is not None else []
    }


def _tallies(user: Any) -> "QuerySet[Tally]":
    # It loads the HTTP edge, which the admin of a cluster does without.
    from chatflow.signins import account_key

    keys = [f"{what}:{user.pk}" for what in COUNTED]
    return Tally.objects.filter(key__in=[*keys, account_key(user.get_username())])


def _acts_about(user: Any) -> Iterator[dict[str, Any]]:
    """Yield the acts on a person and what is theirs, without who of the staff it was, and where."""
    for rows in _targets(user):
        kind, ids = rows[0]._meta.label_lower, [id_of(row) for row in rows]
        for act in Act.objects.filter(target_type=kind, target_id__in=ids).order_by("pk"):
            yield _as_json(act, ("who", "who_key", "origin"))


def _forget_history(user: Any) -> None:
    """Delete what Django's admin noted of a person and what is theirs, with its name."""
    for rows in _targets(user):
        kind, keys = ContentType.objects.get_for_model(rows[0]), [str(row.pk) for row in rows]
        LogEntry.objects.filter(content_type=kind, object_id__in=keys).delete()


def _targets(user: Any) -> Iterator[list[Any]]:
    """Yield what acts may have been done to: the person, and rows of theirs, a few at a time."""
    yield [user]
    for name in ("jobs", "approvals", "documents", "tokens", "sessions"):
        rows, last = PARTS[name].of(user), None
        while found := list(rows.filter(pk__gt=last)[:CHUNK] if last else rows[:CHUNK]):
            yield found
            last = found[-1].pk


def _dump(value: Any, indent: int | None = None) -> str:
    return json.dumps(value, cls=Encoder, ensure_ascii=False, indent=indent)


class Encoder(DjangoJSONEncoder):
    """Writes the fields of a project's own user model too, as text if need be."""

    def default(self, o: Any) -> Any:
        try:
            return super().default(o)
        except TypeError:
            return str(o)
