"""The pages that people see: the chat, the example of its client, a document."""

import json
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from rest_framework.exceptions import AuthenticationFailed, NotAuthenticated, PermissionDenied

from chatflow.access.entrance import received
from chatflow.access.tenants import workflows_of
from chatflow.answers.error_pages import respond
from chatflow.answers.errors import problem
from chatflow.answers.languages import localized, words
from chatflow.answers.page_policy import strict
from chatflow.conf import conf
from chatflow.development import note
from chatflow.endpoints.uploads import DocumentNotFound, find_document
from chatflow.wire.lengths import MESSAGE_LENGTH
from chatflow.workflows.exceptions import TokenRefused
from chatflow.workflows.knowledge.readers import is_image
from chatflow.workflows.registry import Workflow

View = Callable[..., HttpResponse]

# What answers wherever no other workflow was asked for; nobody needs to choose it.
DEFAULT = "chat"
# For which the page has words of its own, and how many others are suggested.
OURS = ("create_invoice", "demo_long")
MOST_SUGGESTED = 3


def suggested(workflows: Sequence[Workflow]) -> dict[str, Any]:
    """Return what the page suggests: of ours what is there, and some workflows of the project."""
    names = {each.name for each in workflows}
    others = [each for each in workflows if each.triggers and each.name not in OURS]
    return {"names": names, "others": others[:MOST_SUGGESTED]}


def _admitted(view: View) -> View:
    """Show a page to those only whom the API answers, by the classes that CHATFLOW names."""

    @wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            received(request, kwargs)
        except (NotAuthenticated, AuthenticationFailed):
            # Django knows them, by a way that the API doesn't take: to sign in again is no help.
            return respond(request, problem(PermissionDenied()))
        except (PermissionDenied, TokenRefused) as error:
            return respond(request, problem(error))
        return view(request, *args, **kwargs)

    return wrapped


@strict
@localized
@login_required
@_admitted
def chat(request: HttpRequest) -> HttpResponse:
    """Show the chat page."""
    usable = workflows_of(request)
    workflows = [
        {"name": each.name, "title": each.title, "description": each.description}
        for each in usable
        if each.name != DEFAULT
    ]
    context = {
        "model_name": conf.AI_MODEL,
        "workflows": workflows,
        "suggested": suggested(usable),
        "urls": urls(),
        "limit": MESSAGE_LENGTH,
        "largest_file": conf.MAX_BODY_BYTES,
        "words": words(),
        "mistakes": reverse("chatflow:mistake") if note.is_kept() else "",
        **_image_places(),
    }
    return render(request, "chatflow/chat.html", context)


@require_safe
@never_cache
@login_required
@_admitted
def mistake(request: HttpRequest) -> HttpResponse:
    """Return what is wrong with the last edit; there only where `manage.py dev` runs the site."""
    return JsonResponse({"mistake": note.read()})


@strict
@localized
@login_required
@_admitted
def example(request: HttpRequest) -> HttpResponse:
    """Show the page that uses every part of AsyncChatClient."""
    return render(request, "chatflow/example.html", {"urls": urls()})


def urls() -> str:
    """Return the addresses that AsyncChatClient and the page call, as JSON, by its names."""
    plain = ("send", "jobs", "action", "approvals", "sessions", "stream_all")
    one_of = {
        "history": "session_id",
        "session": "session_id",
        "export": "session_id",
        "status": "job_id",
        "stream": "job_id",
        "cancel": "job_id",
        "retry": "job_id",
        "feedback": "job_id",
        "approval": "approval_id",
    }
    found = {"upload": reverse("chatflow:documents")} | {
        name: reverse(f"chatflow:{name}") for name in plain
    }
    found |= {
        name: reverse(f"chatflow:{name}", args=[f"{{{key}}}"]) for name, key in one_of.items()
    }
    return json.dumps(found)


@require_safe
@strict
@localized
@login_required
@_admitted
def document(request: HttpRequest, document_id: UUID) -> HttpResponse:
    """Show the text read from a document; it is escaped, whatever it says."""
    try:
        found = find_document(request, document_id)
    except DocumentNotFound:
        raise Http404 from None
    context = {
        "document": found,
        "is_image": is_image(found.kind),
        "chunks": found.chunks.defer("embedding").order_by("position"),
        **_image_places(),
    }
    return render(request, "chatflow/document.html", context)


def _image_places() -> dict[str, str]:
    """Return from where images that a text names may be loaded: nothing else is asked for."""
    files_path = reverse("chatflow:file", args=[UUID(int=0)]).removesuffix(str(UUID(int=0)))
    return {"image_hosts": " ".join(conf.IMAGE_HOSTS), "files_path": files_path}
