"""Documents, and the chunks that searches find.

Each database keeps a full-text index of the chunks' terms by itself: generated columns on
PostgreSQL, an FTS5 table with triggers on SQLite (migration 0004).
"""

import uuid
from hashlib import sha256
from typing import Any, ClassVar

from django.conf import settings
from django.core.validators import URLValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone

from chatflow.workflows.knowledge import readers, words
from chatflow.workflows.knowledge.pages import pages
from chatflow.workflows.tenants import tenant_field
from chatflow.workflows.texts import Unsaid

# Chunks that everybody may find; the others are their owner's, or an organisation's. See
# audience_of().
EVERYBODY = "all"
AUDIENCE_LENGTH = 30


def audience_of(owner_id: Any, session_id: int | None = None, tenant: str = "") -> str:
    """Return the word by which the index knows who may find a chunk.

    Args:
        owner_id: a user's key, of any type; None for everybody.
        session_id: the key of the only conversation that finds it, if that is so.
        tenant: the organisation for which alone it is found; empty for none.
    """
    if session_id is not None:
        return f"session{session_id}"
    if tenant:
        # Both in one: the owner is another one in each organisation.
        member = sha256(f"{owner_id}\0{tenant}".encode()).hexdigest()
        return f"tenant{member}"[:AUDIENCE_LENGTH]
    if owner_id is None:
        return EVERYBODY
    # Other keys may be long, or have marks at which an index would cut the word.
    key = owner_id if isinstance(owner_id, int) else sha256(str(owner_id).encode()).hexdigest()
    return f"user{key}"[:AUDIENCE_LENGTH]


class DocumentQuerySet(models.QuerySet["Document"]):
    def owned_by(self, owner_id: Any, tenant: str) -> "DocumentQuerySet":
        """The documents of a user, or for None of nobody in particular, in *tenant*."""
        return self.filter(owner_id=owner_id, tenant=tenant)

    def visible_to(self, user: Any, tenant: str) -> "DocumentQuerySet":
        """The documents that *user* may see when they act for *tenant*.

        Their own there, those of the whole organisation, and those of everybody.
        """
        shared = Q(owner=None, tenant__in={"", tenant})
        return self.filter(shared | Q(owner=user, tenant=tenant))

    def found_in(self, user: Any, tenant: str, session_id: int | None) -> "DocumentQuerySet":
        """Of those the ones that a search finds: not what belongs to another conversation."""
        return self.visible_to(user, tenant).filter(Q(session=None) | Q(session=session_id))


class Document(Unsaid, models.Model):  # noqa: DJ008
    """A document, with the bytes that it was read from."""

    # Its address can't be guessed from another document's.
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    # Without an owner it is everybody's, in the organisation if it has one.
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.CASCADE,
        null=True,
        blank=True,
        related_name="chatflow_documents",
    )
    # The organisation that alone finds it; empty for none.
    tenant = tenant_field()
    # The conversation that it was brought to: it is found nowhere else, and goes with it.
    session = models.ForeignKey(
        "chatflow_workflows.Session",
        models.CASCADE,
        null=True,
        editable=False,
        related_name="documents",
    )
    title = models.CharField(max_length=200, blank=True)
    # Of the file, as it was uploaded.
    name = models.CharField(max_length=255, blank=True, default="", db_default="", editable=False)
    # Where people read it, if that is elsewhere.
    url = models.CharField(
        max_length=2000, blank=True, validators=[URLValidator(["http", "https"])]
    )
    # Where `ingest` found it; empty for an upload.
    path = models.CharField(max_length=1000, blank=True, editable=False)
    # Its format. The readers are asked each time: a new one needs no migration.
    kind = models.CharField(max_length=20, choices=readers.choices)
    content = models.BinaryField()
    content_hash = models.CharField(max_length=64, editable=False)
    chunk_count = models.PositiveIntegerField(default=0, editable=False)
    # How long it took to read, cut and store it, in milliseconds; when that was, is updated_at.
    read_ms = models.PositiveIntegerField(null=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = DocumentQuerySet.as_manager()

    class Meta:
        db_table = "knowledge_document"
        constraints: ClassVar = [
            # Serve the look-up by path of `ingest` too.
            models.UniqueConstraint(
                fields=["tenant", "path"],
                condition=Q(owner=None) & ~Q(path=""),
                name="document_tenant_path",
            ),
            models.UniqueConstraint(
                fields=["owner", "tenant", "path"],
                condition=~Q(path=""),
                name="document_owner_tenant_path",
            ),
        ]
        indexes: ClassVar = [
            # The API's list: documents a user may see, newest first.
            models.Index(fields=["owner", "tenant", "-created_at"], name="document_owner_newest"),
            # The admin's list: the latest that were read, of all, of a kind, of an owner.
            models.Index(fields=["-updated_at"], name="document_latest"),
            models.Index(fields=["kind", "-updated_at"], name="document_kind_latest"),
            models.Index(fields=["owner", "-updated_at"], name="document_owner_latest"),
        ]

    @property
    def page(self) -> str:
        """The address, on this site, of the page that shows the document; empty without one."""
        return pages.find(self.pk)


class UnreadFile(Unsaid, models.Model):  # noqa: DJ008
    """A file that could not be read, or no more: what it was last refused for, and when.

    It goes when the file is read, see unread.py.
    """

    # The document that it would have renewed; null where it would have been a new one.
    document = models.ForeignKey(
        Document, models.CASCADE, null=True, blank=True, related_name="unread"
    )
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.CASCADE,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
    )
    tenant = tenant_field()
    # Its path, where `ingest` found it; else its name, as it was uploaded.
    name = models.CharField(max_length=1000)
    error = models.TextField()
    failed_at = models.DateTimeField(default=timezone.now)

    class Meta:
        db_table = "knowledge_unreadfile"
        verbose_name = "file that could not be read"
        verbose_name_plural = "files that could not be read"
        indexes: ClassVar = [
            # The newest of an owner, who keeps a few of them; of all it is the key's order.
            models.Index(fields=["owner", "tenant", "id"], name="unread_owner"),
        ]


class Attachment(Unsaid, models.Model):  # noqa: DJ008
    """A file that was sent with a message. It outlives the document, of which it tells the name."""

    # The unique constraint's index begins with it.
    message = models.ForeignKey(
        "chatflow_workflows.Message", models.CASCADE, related_name="attachments", db_index=False
    )
    position = models.PositiveSmallIntegerField()
    document = models.ForeignKey(Document, models.SET_NULL, null=True, related_name="+")
    name = models.CharField(max_length=255)
    kind = models.CharField(max_length=20)
    size = models.PositiveIntegerField(help_text="In bytes.")

    class Meta:
        db_table = "knowledge_attachment"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["message", "position"], name="attachment_position"),
        ]


class Chunk(Unsaid, models.Model):  # noqa: DJ008
    """A few hundred words of a document, with the headings that they stand under."""

    # The unique constraint's index begins with it.
    document = models.ForeignKey(Document, models.CASCADE, related_name="chunks", db_index=False)
    # 1 for the first.
    position = models.PositiveIntegerField()
    # Who may find it. Only narrows the search: each match is checked against the document.
    audience = models.CharField(max_length=AUDIENCE_LENGTH)
    title = models.CharField(max_length=200)
    # The words of the file's name, which often say what its title does not.
    name = models.CharField(max_length=200)
    # Such as "Deploy > nginx".
    heading = models.CharField(max_length=600)
    text = models.TextField()
    # What the full-text index sees of it all: see index().
    topics = models.TextField(blank=True)
    terms = models.TextField(blank=True)
    # A vector of float32, of length 1, and the model that made it.
    embedding = models.BinaryField(null=True)
    embedded_by = models.CharField(max_length=100, blank=True)

    class Meta:
        db_table = "knowledge_chunk"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["document", "position"], name="chunk_position"),
        ]
        indexes: ClassVar = [
            # Nearest vectors, and chunks that have none of the present model.
            models.Index(fields=["audience", "embedded_by"], name="chunk_audience_embedded"),
        ]

    @property
    def label(self) -> str:
        """Where it stands, for who may read it: such as "Guide > Deploy > nginx"."""
        return " > ".join(filter(None, [self.title, self.heading]))

    def index(self) -> "Chunk":
        """Set what the index is to see: its words, alike however they are spelled."""
        head = f"{self.heading} {self.title} {self.name}"
        self.topics, self.terms = words.indexed(head, self.text)
        return self
