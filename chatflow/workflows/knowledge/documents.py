"""Putting documents on the shelf: read, cut, stored whole or not at all."""

import hashlib
import re
import time
from pathlib import PurePath
from typing import Any

from chatflow.workflows import clock
from chatflow.workflows.db import atomic
from chatflow.workflows.knowledge import embeddings, unread
from chatflow.workflows.knowledge.chunking import chunks
from chatflow.workflows.knowledge.models import Chunk, Document, audience_of
from chatflow.workflows.knowledge.readers import Section, Unreadable, check_parts, read
from chatflow.workflows.knowledge.readers.base import UNWANTED

TITLE_LENGTH = 200
PATH_LENGTH = 1000
NAME_LENGTH = 255


def store(
    content: bytes,
    kind: str,
    *,
    owner: Any,
    tenant: str = "",
    session_id: int | None = None,
    name: str = "",
    title: str = "",
    url: str = "",
    path: str = "",
    sections: list[Section] | None = None,
) -> tuple[Document, bool]:
    """Take a document in; the same one again changes nothing.

    Args:
        content: its bytes.
        kind: the ``kind`` of the reader for them.
        owner: the user who alone may see it; None for everybody.
        tenant: the organisation that alone finds it; empty for none.
        session_id: the key of the only conversation that is to find it.
        name: the file's name; its words are found too.
        title: by default its first heading, or the file's name.
        url: where people read it; by default on the page that this site has for it.
        path: where the file is, which tells a newer version of a document from another document;
            an upload, which has none, is known by its bytes.
        sections: what its bytes say, where they have been read already.

    Returns:
        The document, and whether anything is new.

    Raises:
        Unreadable: it is broken, there is no text in it, or *path* can't be stored.
    """
    _check_path(path)
    digest = hashlib.sha256(content).hexdigest()
    owner_id = owner.pk if owner is not None else None
    mine = Document.objects.owned_by(owner_id, tenant).filter(session=session_id, path=path)
    document = (mine if path else mine.filter(content_hash=digest)).first()
    if document is None:
        document = Document(owner=owner, tenant=tenant, session_id=session_id, path=path)
        document.created_at = clock.now()
    elif (document.content_hash, document.kind) == (digest, kind) and (
        (title or document.title, url or document.url) == (document.title, document.url)
    ):
        return document, False
    document.content, document.kind = content, kind
    document.title, document.url = title, url or document.url
    document.name = UNWANTED.sub("", PurePath(name).name)[:NAME_LENGTH]
    reread(document, name=name or PurePath(path).name, sections=sections)
    return document, True


def _check_path(path: str) -> None:
    if len(path) > PATH_LENGTH:
        raise Unreadable(f"Its path has more than {PATH_LENGTH} characters.")
    if any("\ud800" <= sign <= "\udfff" for sign in path):
        raise Unreadable("Its name is not text in UTF-8.")


def reread(document: Document, *, name: str = "", sections: list[Section] | None = None) -> None:
    """Read the document's bytes, and put new chunks in the place of the old ones.

    Saves the document too. The embeddings come after the commit, if they can be had.

    Args:
        document: with its bytes and their kind.
        name: the file's name; by default that of its path.
        sections: what its bytes say, where they have been read already.

    Raises:
        Unreadable: as store() does; nothing is changed then.
    """
    began = time.monotonic()
    if sections is None:
        sections = read(bytes(document.content), document.kind)
    name = name or document.name or PurePath(document.path).name
    document.title = (document.title or _title(sections, name))[:TITLE_LENGTH]
    document.content_hash = hashlib.sha256(document.content).hexdigest()
    document.updated_at = clock.now()
    rows = [
        Chunk(
            document=document,
            position=position,
            audience=audience_of(document.owner_id, document.session_id, document.tenant),
            title=document.title,
            name=_words(PurePath(name).stem),
            heading=_without(document.title, piece.heading),
            text=piece.text,
        ).index()
        for position, piece in enumerate(chunks(sections), 1)
    ]
    check_parts(len(rows))
    document.chunk_count = len(rows)
    with atomic():
        document.save()
        document.chunks.all().delete()
        Chunk.objects.bulk_create(rows, batch_size=500)
        document.read_ms = round(1000 * (time.monotonic() - began))
        Document.objects.filter(pk=document.pk).update(read_ms=document.read_ms)
        unread.forget(document, name)
    embeddings.embed_missing(document.chunks.all())


def _title(sections: list[Section], name: str) -> str:
    headings = [section.headings[0] for section in sections if section.headings]
    first = headings[0] if headings and headings[0] != "Page 1" else name
    return UNWANTED.sub("", first) or "Untitled"


def _words(name: str) -> str:
    return " ".join(re.findall(r"[^\W_]+", name))[:TITLE_LENGTH]


def _without(title: str, heading: str) -> str:
    """Return the path of headings below the document's title."""
    if heading == title:
        return ""
    return heading.removeprefix(f"{title} > ")
