"""The files that go with a message: found before it is stored, and told beside it."""

from collections.abc import Sequence
from typing import Any

from django.db.models.functions import Length

from chatflow.workflows.exceptions import FileNotFound
from chatflow.workflows.knowledge.models import Attachment, Document
from chatflow.workflows.models import Job, Message


def describe(user: Any, tenant: str, ids: Sequence[str]) -> list[dict[str, Any]]:
    """Return what a job keeps of its files, in the order of *ids*: id, name, type and size.

    Args:
        user: whose files they must be.
        tenant: the organisation for which they act; empty for none.
        ids: keys of documents.

    Raises:
        FileNotFound: one of them isn't there, or is somebody else's.
    """
    own = Document.objects.owned_by(user.pk, tenant).annotate(size=Length("content"))
    found = {str(row.pk): row for row in own.filter(pk__in=ids).defer("content")}
    if len(found) < len(set(ids)):
        raise FileNotFound
    rows: list[Any] = [found[key] for key in dict.fromkeys(ids)]
    return [
        {"id": str(row.pk), "name": row.name or row.title, "type": row.kind, "size": row.size}
        for row in rows
    ]


def attach(job: Job) -> None:
    """Store with the message of *job* which files came with it, in its transaction.

    Raises:
        FileNotFound: one was deleted at this very moment.
    """
    files = job.options["files"]
    keys = [file["id"] for file in files]
    # Locked, so that none goes before the row that points to it is there.
    held = Document.objects.select_for_update(no_key=True).filter(pk__in=keys).order_by("pk")
    if len(held.values_list("pk")) < len(keys):
        raise FileNotFound
    # Under `memory: false` there may be no message.
    message = Message.objects.filter(job=job, role=Message.Role.USER).first()
    if message is not None:
        Attachment.objects.bulk_create(
            Attachment(
                message=message,
                position=position,
                document_id=file["id"],
                name=file["name"],
                kind=file["type"],
                size=file["size"],
            )
            for position, file in enumerate(files, 1)
        )
