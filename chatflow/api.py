"""The API and its pages, to be included wherever a project wants them.

``path("team/assistant/", include("chatflow.api"))``
"""

from django.urls import path, re_path
from django.views.generic import RedirectView

from chatflow.project import installed  # noqa: F401

# isort: split
# The middleware also hears, by a signal, when the database is out.
from chatflow import middleware  # noqa: F401
from chatflow.answers import errors
from chatflow.development import note
from chatflow.endpoints import (
    acts,
    conversations,
    inbox,
    jobs,
    pages,
    sends,
    tokens,
    turns,
    uploads,
)
from chatflow.wire import routes

app_name = routes.API

urlpatterns = [
    path("chat/send", sends.send, name="send"),
    path("chat/action", acts.act, name="action"),
    path("chat/history/<path:session_id>", conversations.history, name="history"),
    path("chat/session/<path:session_id>/export", conversations.export, name="export"),
    path("chat/sessions", conversations.sessions, name="sessions"),
    path("chat/stream", conversations.stream, name="stream_all"),
    path("chat/session/<path:session_id>", conversations.session, name="session"),
    path("workflow/status/<str:job_id>", jobs.status, name="status"),
    path("workflow/stream/<str:job_id>", jobs.stream, name="stream"),
    path("workflow/cancel/<str:job_id>", jobs.cancel, name="cancel"),
    path("workflow/retry/<str:job_id>", jobs.retry, name="retry"),
    path("chat/feedback/<str:job_id>", turns.give_feedback, name="feedback"),
    path("workflow/jobs", jobs.jobs, name="jobs"),
    path("workflow/approvals", inbox.pending, name="approvals"),
    path("workflow/approval/<str:approval_id>", inbox.decide, name="approval"),
    path("knowledge/documents", uploads.shelf, name="documents"),
    path("knowledge/documents/<uuid:document_id>", uploads.document, name="document"),
    path("knowledge/files/<uuid:document_id>", uploads.file, name="file"),
    path("knowledge/pages/<uuid:document_id>", pages.document, name="document-page"),
    path("tokens", tokens.tokens, name="tokens"),
    path("tokens/<str:token_id>", tokens.token, name="token"),
    path("chat/", pages.chat, name="chat"),
    path("chat/example/", pages.example, name="example"),
    path("chat", RedirectView.as_view(pattern_name=f"{routes.API}:chat")),
    *([path("chat/mistake", pages.mistake, name="mistake")] if note.is_kept() else []),
    # In the envelope also with DEBUG, where Django shows a page of its own.
    re_path("", errors.not_found),
]
