"""Documents to bring, look at, read again and delete; their chunks to look at."""

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from chatflow.conf import conf
from chatflow.operations import audit
from chatflow.operations.admin.audited import Audited
from chatflow.operations.admin.confidential import Confidential
from chatflow.operations.roles import shown
from chatflow.workflows.knowledge.documents import reread
from chatflow.workflows.knowledge.models import Chunk, Document
from chatflow.workflows.knowledge.readers import Unreadable, kind_of, read, suffixes

# Chunks that a document's page shows.
SHOWN = 100

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


@admin.register(Document)
class DocumentAdmin(Audited, Confidential, ModelAdmin):
    tells = ("chunks",)
    named_by_users = True
    form = DocumentForm
    readonly_fields = ("kind", "path", "chunk_count", "updated_at", "chunks")
    fields = ("file", "title", "url", "owner", "tenant", *readonly_fields)
    raw_id_fields = ("owner",)
    list_display = ("title", "owner", "kind", "chunk_count", "path", "updated_at")
    list_filter = ("kind", ("owner", admin.EmptyFieldListFilter))
    list_select_related = ("owner",)
    search_fields = ("title", "path", f"owner__{get_user_model().USERNAME_FIELD}")
    ordering = ("-updated_at",)
    actions = ("read_again",)

    def get_list_display(self, request: HttpRequest) -> Any:
        columns = super().get_list_display(request)
        return [*columns, "tenant"] if conf.TENANT else columns

    def get_list_filter(self, request: HttpRequest) -> Any:
        filters = super().get_list_filter(request)
        return [*filters, "tenant"] if conf.TENANT else filters

    def get_queryset(self, request: HttpRequest) -> QuerySet[Document]:
        return super().get_queryset(request).defer("content")

    def save_model(self, request: HttpRequest, obj: Document, form: Any, change: bool) -> None:
        file = form.cleaned_data.get("file")
        reread(obj, name=file.name if file else "", sections=form.sections)

    @admin.display(description=f"chunks (the first {SHOWN})")
    def chunks(self, document: Document) -> SafeString:
        rows = Chunk.objects.filter(document=document.pk).defer("embedding").order_by("position")
        text = "\n\n".join(f"[{row.position}] {row}\n{row.text}" for row in rows[:SHOWN])
        return format_html('<pre style="white-space: pre-wrap">{}</pre>', text)

    @admin.action(description="Read again", permissions=["change"])
    def read_again(self, request: HttpRequest, queryset: QuerySet[Document]) -> None:
        for document in queryset:
            try:
                reread(document)
            except Unreadable as error:
                name = shown(request.user, document)
                self.message_user(request, f"{name}: {error}", messages.ERROR)
                outcome = "It can't be read."
            else:
                outcome = f"{document.chunk_count} chunks."
            audit.record(request, document, "Read again", outcome=outcome)
        self.message_user(request, f"Read {queryset.count()} documents again.")
