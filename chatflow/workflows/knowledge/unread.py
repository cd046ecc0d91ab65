"""What could not be read: remembered until it is, so that whoever runs the site sees it."""

from typing import Any

from chatflow.workflows import clock
from chatflow.workflows.knowledge.models import Document, UnreadFile
from chatflow.workflows.knowledge.readers import Busy

# Files of one owner; an older one makes room. Characters of an error.
MOST = 100
LENGTH = 500


def note(
    name: str,
    error: Exception,
    *,
    owner: Any = None,
    tenant: str = "",
    document: Document | None = None,
) -> None:
    """Remember that a file could not be read, once for each file; the last error stands.

    Args:
        name: its path or its name; of neither there is nothing to remember.
        error: why. If it is only that too much is read at once, nobody needs to know.
        owner: whose document it was to be; None for everybody's.
        tenant: the organisation that it was for; empty for none.
        document: the one that it is; by default the owner's of that path.
    """
    name = clean(name)[: UnreadFile._meta.get_field("name").max_length or 0]
    if isinstance(error, Busy) or not (name or document):
        return
    mine = UnreadFile.objects.filter(owner=owner, tenant=tenant)
    if document is None:
        theirs = Document.objects.owned_by(owner.pk if owner else None, tenant)
        document = theirs.filter(path=name).defer("content").first()
    same = mine.filter(document=document) if document else mine.filter(name=name)
    same.delete()
    UnreadFile.objects.create(
        owner=owner,
        tenant=tenant,
        document=document,
        name=name or (document.title if document else ""),
        error=clean(str(error))[:LENGTH],
        failed_at=clock.now(),
    )
    oldest = mine.order_by("-pk").values_list("pk", flat=True)[MOST : MOST + 1].first()
    if oldest is not None:
        mine.filter(pk__lte=oldest).delete()


def forget(document: Document, name: str) -> None:
    """Forget the failures of a document that was read just now.

    Args:
        document: it.
        name: of the file that it was read from.
    """
    document.unread.all().delete()
    mine = UnreadFile.objects.filter(owner=document.owner_id, tenant=document.tenant)
    names = {each for each in (document.path, document.name, name) if each}
    mine.filter(document=None, name__in=names).delete()


def clean(text: str) -> str:
    """Return a text as every database takes it."""
    return text.replace("\0", "").encode(errors="backslashreplace").decode()
