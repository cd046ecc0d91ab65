"""A user's documents: uploaded, listed, looked at and deleted."""

from pathlib import PurePath
from typing import Annotated, Any, TypedDict
from uuid import UUID

from django.core.validators import URLValidator
from django.db import IntegrityError
from django.db.models import Count, Sum
from django.db.models.functions import Length
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.http import content_disposition_header
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import parser_classes
from rest_framework.exceptions import APIException, NotFound, ValidationError
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from chatflow.access.limits import check_upload, upload_slot
from chatflow.access.tenants import tenant_of
from chatflow.answers.bodies import Moment, Shown
from chatflow.answers.errors import Unavailable
from chatflow.answers.paging import Following, read_page
from chatflow.answers.schema import refusals
from chatflow.conf import conf
from chatflow.endpoints.views import api_view
from chatflow.wire.addresses import request_prefix
from chatflow.wire.lengths import SESSION_ID_LENGTH
from chatflow.wire.moments import iso
from chatflow.wire.parsers import JSONParser, TextJSONParser
from chatflow.wire.serializers import PageSerializer, StrictCharField, no_control, session_key
from chatflow.workflows import services
from chatflow.workflows.db import atomic
from chatflow.workflows.knowledge import unread
from chatflow.workflows.knowledge.documents import TITLE_LENGTH, store
from chatflow.workflows.knowledge.models import Document, DocumentQuerySet
from chatflow.workflows.knowledge.readers import (
    IMAGES,
    READERS,
    Busy,
    Section,
    Unreadable,
    is_image,
    kind_of,
    kind_of_image,
    kind_of_media_type,
    labels,
    read,
    suffixes,
)
from chatflow.workflows.sizes import size_text

URL_LENGTH = 2000
NAME_LENGTH = 255
# Documents of one user; so many that only a mistake reaches them.
MOST = 1000


class DocumentNotFound(NotFound):
    """The user may see no such document."""

    default_detail = "There is no such document."


class UnsupportedDocument(APIException):
    """The document is of a kind that nothing here reads."""

    status_code = 415
    default_detail = (
        f"A document must be one of {', '.join(suffixes())}; an image a PNG, JPEG, WebP or GIF."
    )


class TooManyDocuments(APIException):
    """The user has as many documents as one may have."""

    status_code = 409
    default_detail = f"You have {MOST} documents; delete some first."
    default_code = "too_many"


class TooManyBytes(TooManyDocuments):
    """The user's documents would be larger than DOCUMENTS_BYTES together."""

    def __init__(self) -> None:
        most = conf.DOCUMENTS_BYTES
        said = size_text(most)
        super().__init__(f"Your documents may have {said} together; delete some first.")


# Of a document's text; how long that may be is a setting.
TEXT: dict[str, Any] = {
    "required": False,
    "trim_whitespace": False,
    "help_text": "In place of a file.",
}


class UploadSerializer(serializers.Serializer[Any]):
    """A document: either a file, in a multipart form, or its text, as JSON."""

    file = serializers.FileField(
        required=False, max_length=NAME_LENGTH, help_text=f"{labels()}; or an image."
    )
    text = StrictCharField(**TEXT)
    type = serializers.ChoiceField(
        choices=[reader.kind for reader in READERS if reader.is_text],
        default="text/markdown",
        help_text="What the text is.",
    )
    title = StrictCharField(
        required=False,
        max_length=TITLE_LENGTH,
        validators=[no_control],
        help_text="By default the first heading, or the file's name.",
    )
    url = serializers.CharField(
        required=False,
        max_length=URL_LENGTH,
        validators=[URLValidator(["http", "https"])],
        help_text="Where people read it; by default on a page of this site.",
    )

    session_id = StrictCharField(
        required=False,
        max_length=SESSION_ID_LENGTH,
        trim_whitespace=False,
        validators=[session_key],
        help_text="The conversation that alone finds it, and that it is deleted with.",
    )

    def get_fields(self) -> dict[str, Any]:
        fields: dict[str, Any] = super().get_fields()
        return fields | {"text": StrictCharField(**TEXT, max_length=conf.MAX_BODY_BYTES)}

    def validate(self, attrs: Any) -> Any:
        if ("file" in attrs) == ("text" in attrs):
            raise serializers.ValidationError({"file": ["Send either a file or a text."]})
        return attrs


class DocumentBody(TypedDict):
    id: Annotated[str, Shown(format="uuid")]
    title: str
    url: Annotated[str, "Where people read it."]
    type: Annotated[str, Shown(enum=tuple(reader.kind for reader in (*READERS, *IMAGES)))]
    name: Annotated[str, "Of the file."]
    file_url: Annotated[str, "Where its bytes are, for who may see it."]
    session_id: Annotated[str | None, "The conversation that it belongs to."]
    chunks: Annotated[int, "Parts that searches find."]
    shared: Annotated[bool, "Everybody may see it; only the site deletes it."]
    created_at: Moment
    updated_at: Moment


class DocumentAnswerBody(TypedDict):
    success: bool
    document: DocumentBody


class DocumentsAnswerBody(TypedDict):
    success: bool
    documents: list[DocumentBody]
    next: Following


@extend_schema(
    methods=["GET"],
    operation_id="ai_demo_knowledge_documents_list",
    summary="List the documents that you may see, the newest first",
    parameters=[PageSerializer],
    responses={200: DocumentsAnswerBody, **refusals(400, 401, 404, 503)},
)
@extend_schema(
    methods=["POST"],
    summary="Add a document",
    description="The same document again is answered 200, and not added twice.",
    request={"application/json": UploadSerializer, "multipart/form-data": UploadSerializer},
    responses={
        200: DocumentAnswerBody,
        201: DocumentAnswerBody,
        **refusals(400, 401, 403, 404, 409, 413, 415, 429, 503),
    },
)
@api_view(["GET", "POST"])
@parser_classes([JSONParser, TextJSONParser, MultiPartParser])
def shelf(request: Request) -> Response:
    return add(request) if request.method == "POST" else listed(request)


def add(request: Request) -> Response:
    upload = UploadSerializer(data=request.data)
    upload.is_valid(raise_exception=True)
    sent = upload.validated_data
    content, kind, name = brought(sent)
    check_upload(request.user, len(content))
    with upload_slot(request.user):
        check_room(request.user, len(content))
        made, new = stored(request, content, kind, name, sent)
    answer: DocumentAnswerBody = {"success": True, "document": described(request, made)}
    return Response(answer, status=201 if new else 200)


def check_room(user: Any, size: int) -> None:
    """Refuse a document for which there is no room.

    Uploads to several web processes at the same moment may exceed it by one each.

    Raises:
        TooManyDocuments, TooManyBytes.
    """
    sizes = Document.objects.filter(owner_id=user.pk).annotate(size=Length("content"))
    room = sizes.aggregate(documents=Count("pk"), bytes=Sum("size", default=0))
    if room["documents"] >= MOST:
        raise TooManyDocuments
    if room["bytes"] + size > conf.DOCUMENTS_BYTES:
        raise TooManyBytes


def stored(
    request: Request, content: bytes, kind: str, name: str, sent: dict[str, Any]
) -> tuple[Document, bool]:
    user, tenant = request.user, tenant_of(request)
    key, session = sent.get("session_id"), None
    try:
        # First of all: what can't be read opens no conversation.
        sections: list[Section] | None = read(content, kind) if key else None
        session = services.open_session(user, key, tenant=tenant) if key else None
        return store(
            content,
            kind,
            owner=user,
            tenant=tenant,
            session_id=session.pk if session else None,
            sections=sections,
            name=name,
            title=sent.get("title", ""),
            url=sent.get("url", ""),
        )
    except IntegrityError:
        if session is not None:
            # Session.DoesNotExist, where it was deleted since: that is answered 404.
            session.refresh_from_db(fields=["id"])
        raise
    except Busy as error:
        raise Unavailable(str(error)) from error
    except Unreadable as error:
        unread.note(name or sent.get("title", ""), error, owner=user, tenant=tenant)
        raise ValidationError({"file" if "file" in sent else "text": [str(error)]}) from error


def brought(sent: dict[str, Any]) -> tuple[bytes, str, str]:
    """Return the document's bytes, their type, and the file's name.

    Raises:
        UnsupportedDocument: they are nothing that can be read.
    """
    if "text" in sent:
        return sent["text"].encode(), sent["type"], ""
    file = sent["file"]
    content = file.read()
    # What an image is, its bytes tell; many are called by another format's name.
    kind = kind_of_image(content)
    if kind is None and PurePath(file.name).suffix:
        kind = kind_of(file.name)
    elif kind is None:
        kind = kind_of_media_type(file.content_type)
    if kind is None:
        raise UnsupportedDocument
    return content, kind, file.name


def listed(request: Request) -> Response:
    found = visible_documents(request).defer("content")
    page, last = read_page(request, found, find_document)
    documents = [described(request, row) for row in page]
    more = str(last.pk) if last else None
    body: DocumentsAnswerBody = {"success": True, "documents": documents, "next": more}
    return Response(body)


@extend_schema(
    methods=["GET"],
    summary="Look at a document",
    responses={200: DocumentAnswerBody, **refusals(401, 404, 503)},
)
@extend_schema(
    methods=["DELETE"],
    summary="Delete a document of yours",
    responses={200: DocumentAnswerBody, **refusals(401, 403, 404, 503)},
)
@api_view(["GET", "DELETE"])
def document(request: Request, document_id: UUID) -> Response:
    found = find_document(request, document_id)
    answer: DocumentAnswerBody = {"success": True, "document": described(request, found)}
    if request.method == "DELETE":
        if found.owner_id != request.user.pk:
            raise DocumentNotFound
        with atomic():
            # Else a message might get it while it goes.
            Document.objects.select_for_update().filter(pk=found.pk).values_list("pk").first()
            found.delete()
    return Response(answer)


@extend_schema(
    summary="Download the file that a document was read from",
    description="An image is shown in the page that asks for it; everything else is a download.",
    responses={(200, "application/octet-stream"): bytes, **refusals(401, 404, 503)},
)
@api_view(["GET"])
def file(request: Request, document_id: UUID) -> HttpResponse:
    found = find_document(request, document_id)
    shown = is_image(found.kind)
    name = found.name or f"{found.title}{suffix_of(found.kind)}"
    headers = {
        "Content-Disposition": content_disposition_header(not shown, name) or "attachment",
        # Whatever a browser takes it for: it runs nothing, and is nobody's page.
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "Cache-Control": "private, no-cache",
    }
    kind = found.kind if shown else "application/octet-stream"
    return HttpResponse(bytes(found.content), content_type=kind, headers=headers)


def suffix_of(kind: str) -> str:
    return next(each.suffixes[0] for each in (*READERS, *IMAGES) if each.kind == kind)


def visible_documents(request: HttpRequest | Request) -> DocumentQuerySet:
    """Return the documents that the request's user may see, each with its session."""
    visible = Document.objects.visible_to(request.user, tenant_of(request))
    return visible.select_related("session")


def find_document(request: HttpRequest | Request, document_id: UUID | str) -> Document:
    """Return a document that the user may see.

    Raises:
        DocumentNotFound: there is none, or it is somebody else's, or another tenant's.
    """
    try:
        key = UUID(str(document_id))
    except ValueError:
        raise DocumentNotFound from None
    found = visible_documents(request).defer("content").filter(pk=key).first()
    if found is None:
        raise DocumentNotFound
    return found


def described(request: Request, row: Document) -> DocumentBody:
    return {
        "id": str(row.pk),
        "title": row.title,
        "url": row.url or request.build_absolute_uri(request_prefix() + row.page),
        "type": row.kind,
        "name": row.name,
        "file_url": request.build_absolute_uri(reverse("chatflow:file", args=[row.pk])),
        "session_id": row.session.key if row.session else None,
        "chunks": row.chunk_count,
        "shared": row.owner_id is None,
        "created_at": iso(row.created_at),
        "updated_at": iso(row.updated_at),
    }
