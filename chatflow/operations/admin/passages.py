"""What a question would find in the documents, for whom, and why."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from chatflow.conf import conf
from chatflow.operations.roles import HIDDEN, may_read_texts
from chatflow.workflows.knowledge.excerpts import MARKS, excerpt
from chatflow.workflows.knowledge.models import Chunk, Document
from chatflow.workflows.knowledge.ranking import Match, explain
from chatflow.workflows.knowledge.search import FOUND, Ranking, rank
from chatflow.workflows.knowledge.words import stem
from chatflow.workflows.users import find_user

# Passages that are shown; those of one document are looked for among all that were ranked.
SHOWN = 20
# Where a word is met, in the words of the page; see ranking.FIELDS.
PLACES = {
    "text": "text",
    "heading": "heading",
    "above": "title or headings above",
    "name": "file's name",
}


class QuestionForm(forms.Form):
    """A question, and who would ask it."""

    q = forms.CharField(label="Question", max_length=4000)
    user = forms.CharField(
        required=False, help_text="Whose documents it is looked for in; by default your own."
    )
    tenant = forms.CharField(required=False, help_text="The organisation that they act for.")
    document = forms.UUIDField(required=False, widget=forms.HiddenInput)

    def clean_user(self) -> Any:
        name = self.cleaned_data["user"]
        if name and find_user(name) is None:
            raise forms.ValidationError("There is no such user.")
        return name


@dataclass(frozen=True)
class Hit:
    """A passage that was found.

    Args:
        rank: 1 for the first.
        chunk: the passage.
        text: the part of it that fits, as HTML; empty where it is hidden.
        by_words: how relevant it is by its words, 0 to 100; None: they didn't find it.
        by_meaning: likewise how near its meaning is.
        places: its place in each of the two orders.
        comes_first: it belongs to the conversation.
        matches: what it has of each word of the question.
    """

    rank: int
    chunk: Chunk
    text: SafeString
    by_words: int | None
    by_meaning: int | None
    places: tuple[int | None, int | None]
    comes_first: bool
    matches: list["Shown"]
    title: str
    url: str


@dataclass(frozen=True)
class Shown:
    """What a passage has of a word, in words."""

    word: str
    percent: int
    how: str


def find_view(model_admin: "admin.ModelAdmin[Document]", request: HttpRequest) -> HttpResponse:
    """Show what a question would find, and why; *model_admin* is that of documents."""
    if not model_admin.has_view_permission(request):
        raise PermissionDenied
    form = QuestionForm(request.GET if "q" in request.GET else None, initial=request.GET.dict())
    if not conf.TENANT:
        form.fields["tenant"].widget = forms.HiddenInput()
    context: dict[str, Any] = {
        **model_admin.admin_site.each_context(request),
        "title": "What would this question find?",
        "opts": model_admin.opts,
        "form": form,
        "hits": None,
        "has_vectors": bool(conf.AI_EMBEDDING_MODEL),
        "document": read_document(request),
        "document_hidden": True,
    }
    document = context["document"]
    if document is not None:
        context["document_hidden"] = not may_see(request, document)
    if form.is_valid():
        asked = form.cleaned_data
        user = find_user(asked["user"]) if asked["user"] else request.user
        tenant = asked["tenant"].strip()
        ranking = rank(asked["q"], user=user, tenant=tenant)
        context |= {
            "hits": make_hits(request, ranking, document),
            "words": [(word, word in ranking.weights) for word in ranking.words],
            "acting": user,
            "count": len(ranking.best),
            "taken": FOUND,
            "is_visible": document is not None
            and Document.objects.found_in(user, tenant, None).filter(pk=document.pk).exists(),
        }
    return TemplateResponse(request, "chatflow/operations/find.html", context)


def read_document(request: HttpRequest) -> Document | None:
    """Return the document that the search is restricted to, if it is."""
    try:
        key = UUID(request.GET.get("document", ""))
    except ValueError:
        return None
    return Document.objects.defer("content").filter(pk=key).first()


def may_see(request: HttpRequest, document: Document) -> bool:
    """Say whether the one who looks may read a document's words."""
    own = document.owner_id is None or document.owner_id == request.user.pk
    return own or may_read_texts(request.user)


def make_hits(request: HttpRequest, ranking: Ranking, document: Document | None) -> list[Hit]:
    rows = ranking.chunks.in_bulk(ranking.best)
    found, near = list(ranking.found), list(ranking.near)
    hits = []
    for place, key in enumerate((key for key in ranking.best if key in rows), 1):
        chunk = rows[key]
        if document is not None and chunk.document_id != document.pk:
            continue
        seen = may_see(request, chunk.document)
        hits.append(
            Hit(
                rank=place,
                chunk=chunk,
                text=marked(chunk, ranking) if seen else SafeString(""),
                by_words=percent(ranking.found.get(key)),
                by_meaning=percent(ranking.near.get(key)),
                places=(place_in(found, key), place_in(near, key)),
                comes_first=key in ranking.own,
                matches=[describe(each) for each in explain(ranking.words, ranking.weights, chunk)],
                title=chunk.label if seen else HIDDEN,
                url=f"{url_of(chunk.document_id)}?from={chunk.position}#chunk-{chunk.position}",
            )
        )
        if len(hits) == SHOWN:
            break
    return hits


def describe(match: Match) -> Shown:
    """Say where a passage has a word, and by which of its own."""
    if not match.fields:
        how = "not there"
    else:
        where = " and ".join(PLACES[field] for field in match.fields)
        own = stem(match.word)
        others = [like for like in match.like if like != own]
        longer = [like for like in others if like.startswith(own)]
        synonyms = [like for like in others if not like.startswith(own)]
        by = ["itself"] if own in match.like else []
        by += [f"the synonym “{each}”" for each in synonyms]
        by += [f"“{each}”, which begins with it" for each in longer]
        how = f"{', '.join(by)}: in the {where}"
    return Shown(match.word, round(100 * match.weight), how)


def percent(score: float | None) -> int | None:
    return None if score is None else round(100 * score)


def place_in(order: list[int], key: int) -> int | None:
    return order.index(key) + 1 if key in order else None


def marked(chunk: Chunk, ranking: Ranking) -> SafeString:
    """Return the part of a passage that fits, with its words marked."""
    first, *rest = excerpt(chunk.text, ranking.words).split(MARKS[0])
    parts = (part.partition(MARKS[1]) for part in rest)
    return format_html(
        "{}{}",
        first,
        format_html_join("", "<mark>{}</mark>{}", ((word, after) for word, _, after in parts)),
    )


def url_of(key: Any) -> str:
    """Return the address of a document's page in the admin."""
    return reverse("admin:chatflow_knowledge_document_change", args=[key])
