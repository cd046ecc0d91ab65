"""Documents to bring, look at, read again and delete; their chunks; what could not be read."""

from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.files.uploadedfile import UploadedFile
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString

from chatflow.conf import conf
from chatflow.operations import audit
from chatflow.operations.admin import passages
from chatflow.operations.admin.audited import Audited
from chatflow.operations.admin.confidential import Confidential
from chatflow.operations.admin.sessions import as_key
from chatflow.operations.admin.tables import BigTableAdmin, CappedPaginator, Listed, moment
from chatflow.operations.roles import may_read_texts
from chatflow.operations.templatetags.pages import seconds
from chatflow.workflows.knowledge import unread
from chatflow.workflows.knowledge.documents import reread
from chatflow.workflows.knowledge.models import Chunk, Document, UnreadFile
from chatflow.workflows.knowledge.readers import Unreadable, kind_of, read, suffixes
from chatflow.workflows.users import find_user

# Chunks that a document's page shows at once.
PAGE = 50
# Documents whose titles a search looks at: the latest.
SEARCHED = 20_000

# django-stubs makes these classes generic; at run time they are not.
if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Document]
    ModelForm = forms.ModelForm[Document]
else:
    ModelAdmin, ModelForm = admin.ModelAdmin, forms.ModelForm


class DocumentForm(ModelForm):
    """A new document comes as a file; later a newer file may take its place."""

    file = forms.FileField(required=False, help_text=f"One of {', '.join(suffixes())}.")

    class Meta:
        model = Document
        fields = ("title", "url", "owner", "tenant")
        labels: ClassVar = {"url": "Address"}

    def clean_file(self) -> "UploadedFile[Any] | None":
        file: UploadedFile[Any] | None = self.cleaned_data["file"]
        if file is None:
            if self.instance._state.adding:
                raise ValidationError("A file is needed.")
            return None
        kind = kind_of(file.name or "")
        if kind is None:
            raise ValidationError(f"This is none of {', '.join(suffixes())}.")
        self.instance.content, self.instance.kind = file.read(), kind
        return file

    def clean(self) -> Any:
        # Also without a new file: whatever is changed, title or owner, stands in the chunks too.
        if not self.errors:
            try:
                self.sections = read(bytes(self.instance.content), self.instance.kind)
            except Unreadable as error:
                self.add_error("file", str(error))
        return super().clean()


class OwnerFilter(admin.SimpleListFilter):
    title = "whose"
    parameter_name = "whose"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("common", "Everybody's"), ("users", "A user's")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() not in ("common", "users"):
            return queryset
        return queryset.filter(owner__isnull=self.value() == "common")


class TenantFilter(admin.SimpleListFilter):
    """Those of the organisation that a link of the list names: nobody lists them all."""

    title = "tenant"
    parameter_name = "tenant"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        chosen = request.GET.get(self.parameter_name or "")
        return [(chosen, chosen)] if chosen else []

    def has_output(self) -> bool:
        return True

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(tenant=self.value()) if self.value() else queryset


class UnreadFilter(admin.SimpleListFilter):
    title = "failures"
    parameter_name = "unread"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("1", "The last reading failed")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() is None:
            return queryset
        # By those that there are: few documents have one.
        failed = UnreadFile.objects.filter(document__isnull=False)
        return queryset.filter(pk__in=failed.values("document"))


@admin.register(Document)
class DocumentAdmin(Audited, Confidential, Listed, ModelAdmin):
    """Words of a user's document take the permission to read texts; it is not changed without."""

    named_by = "title"
    form = DocumentForm
    paginator = CappedPaginator
    show_full_result_count = False
    list_per_page = 50
    sortable_by = ()
    readonly_fields = ("kind", "path", "chunks", "last_read", "failure")
    fields = ("file", "title", "url", "owner", "tenant", *readonly_fields)
    raw_id_fields = ("owner",)
    list_display = (
        *("title", "shown_owner", "kind", "chunks", "shown_failure"),
        *("last_read", "path"),
    )
    list_filter = (OwnerFilter, "kind", UnreadFilter)
    list_select_related = ("owner",)
    # Makes the search box appear; get_search_results() does the searching.
    search_fields = ("pk",)
    search_help_text = (
        "A document's id, or a user's name; or else words of a title, or the beginning of a path "
        f"(of the latest {SEARCHED:,})."
    )
    ordering = ("-updated_at",)
    actions = ("read_again",)
    change_form_template = "chatflow/operations/document.html"
    change_list_template = "chatflow/operations/documents.html"

    def get_urls(self) -> list[URLPattern]:
        find = self.admin_site.admin_view(self.find_view)
        return [path("find/", find, name="chatflow_knowledge_find"), *super().get_urls()]

    def get_list_display(self, request: HttpRequest) -> Any:
        columns = super().get_list_display(request)
        return [*columns, "of_tenant"] if conf.TENANT else columns

    def get_list_filter(self, request: HttpRequest) -> Any:
        filters = super().get_list_filter(request)
        return [*filters, TenantFilter] if conf.TENANT else filters

    def get_queryset(self, request: HttpRequest) -> Any:
        """Also return whether the last reading failed."""
        failed = UnreadFile.objects.filter(document=OuterRef("pk"))
        found: QuerySet[Any] = super().get_queryset(request).defer("content")
        return found.annotate(failed=Exists(failed))

    def is_public(self, row: Any) -> bool:
        return row.owner_id is None

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        words = search_term.strip()
        if not words:
            return queryset, False
        try:
            return queryset.filter(pk=words), False
        except ValidationError:
            pass
        user = find_user(words)
        if user is not None and (own := queryset.filter(owner=user)).exists():
            return own, False
        named = latest_documents().filter(Q(title__icontains=words) | Q(path__startswith=words))
        if not may_read_texts(request.user):
            named = named.filter(owner=None)
        return queryset.filter(pk__in=list(named.values_list("pk", flat=True)[:SEARCHED])), False

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        without = set() if conf.TENANT else {"tenant"}
        if obj is not None and not self.has_change_permission(request, obj):
            without.add("file")
        return [each for each in super().get_fields(request, obj) if each not in without]

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Leave out each document's chunks, which the summary counts."""
        named, *others = super().get_deleted_objects(objs, request)
        return [each for each in named if not isinstance(each, list)], *others

    def save_model(self, request: HttpRequest, obj: Document, form: Any, change: bool) -> None:
        file = form.cleaned_data.get("file")
        reread(obj, name=file.name if file else "", sections=form.sections)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: Any = None,
    ) -> HttpResponse:
        """Show a page of the chunks below the document, from the one that is asked for."""
        document = self.get_object(request, object_id)
        if document is not None and "read_again" in request.POST:
            if not self.has_change_permission(request, document):
                raise PermissionDenied
            if self.read_one(request, document):
                self.message_user(request, "It was read again.", messages.SUCCESS)
            return HttpResponseRedirect(request.path)
        hidden = document is not None and not self.may_read(request, document)
        context = {"hidden": hidden, "page_of_chunks": None, **(extra_context or {})}
        if document is not None:
            context |= read_chunks(document, as_key(request.GET.get("from")) or 1, hidden)
        return super().change_view(request, object_id, form_url, context)

    def find_view(self, request: HttpRequest) -> HttpResponse:
        """Show what a question would find, and why."""
        return passages.find_view(self, request)

    @admin.display(description="tenant")
    def of_tenant(self, document: Document) -> str:
        if not document.tenant:
            return "-"
        query = urlencode({"tenant": document.tenant})
        return format_html('<a href="?{}">{}</a>', query, document.tenant)

    @admin.display(description="chunks")
    def chunks(self, document: Document) -> str:
        return f"{document.chunk_count:,}"

    @admin.display(description="owner")
    def shown_owner(self, document: Document) -> str:
        return str(document.owner) if document.owner_id is not None else "Everybody"

    @admin.display(description="last read")
    def last_read(self, document: Document) -> str:
        at = moment("updated_at")(document)
        took = document.read_ms
        return at if took is None else f"{at}, in {seconds(took / 1000)}"

    @admin.display(description="failure")
    def shown_failure(self, document: Any) -> SafeString | str:
        if not document.failed:
            return "-"
        return format_html('<span class="pg-state pg-state--failed">{}</span>', "Not read")

    @admin.display(description="last failure")
    def failure(self, document: Document) -> SafeString | str:
        last = document.unread.order_by("-pk").first()
        if last is None:
            return "-"
        at = moment("failed_at")(last)
        return format_html('<span class="pg-bad">{}: {}</span>', at, last.error)

    @admin.action(description="Read again", permissions=["change"])
    def read_again(self, request: HttpRequest, queryset: QuerySet[Document]) -> None:
        done = sum(self.read_one(request, document) for document in queryset)
        self.message_user(request, f"Read {done} documents again.")

    def read_one(self, request: HttpRequest, document: Any) -> bool:
        """Read a document again, and say what came of it."""
        name = self.call(request, document)
        try:
            reread(document)
        except Unreadable as error:
            unread.note(
                document.path or document.name,
                error,
                owner=document.owner,
                tenant=document.tenant,
                document=document,
            )
            self.message_user(request, f"{name}: {error}", messages.ERROR)
            audit.record(request, document, "Read again", outcome="It can't be read.")
            return False
        audit.record(request, document, "Read again", outcome=f"{document.chunk_count} chunks.")
        return True


@admin.register(UnreadFile)
class UnreadFileAdmin(BigTableAdmin):
    """Files that were brought and refused; those of documents that there are, too."""

    named_by = "name"
    list_display = ("name", "shown_owner", "error", moment("failed_at"), "document_link")
    list_select_related = ("owner", "document")
    search_fields = (f"owner__{get_user_model().USERNAME_FIELD}__exact",)
    search_help_text = "A user's name."
    fields = ("name", "shown_owner", "error", moment("failed_at"), "document_link")
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> Any:
        found: QuerySet[Any] = super().get_queryset(request)
        return found.defer("document__content")

    def is_public(self, row: Any) -> bool:
        return row.owner_id is None

    @admin.display(description="owner")
    def shown_owner(self, file: UnreadFile) -> str:
        return str(file.owner) if file.owner_id is not None else "Everybody"

    @admin.display(description="document")
    def document_link(self, file: UnreadFile) -> SafeString | str:
        if file.document_id is None:
            return "None yet"
        return format_html('<a href="{}">{}</a>', passages.url_of(file.document_id), "Its document")


def latest_documents() -> QuerySet[Document]:
    """Return those whose titles a search looks at."""
    moments = Document.objects.order_by("-updated_at").values_list("updated_at", flat=True)
    # By the moment of the last one: PostgreSQL would list all of their keys for each that matches.
    first_out = moments[SEARCHED : SEARCHED + 1].first()
    if first_out is None:
        return Document.objects.all()
    return Document.objects.filter(updated_at__gt=first_out)


def read_chunks(document: Document, first: int, hidden: bool) -> dict[str, Any]:
    """Return a page of a document's chunks, for its template."""
    rows = Chunk.objects.filter(document=document.pk).order_by("position")
    page = list(rows.filter(position__gte=first).defer("embedding")[: PAGE + 1])
    return {
        "page_of_chunks": [] if hidden else page[:PAGE],
        "first_chunk": first,
        "next_chunk": page[PAGE].position if len(page) > PAGE else None,
        "previous_chunk": max(1, first - PAGE) if first > 1 else None,
    }
