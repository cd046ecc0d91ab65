"""Where everything is; the API and its pages below BASE_PATH."""

from django.apps import apps
from django.conf import settings
from django.contrib import admin
from django.contrib.auth import views as auth_views
from django.urls import URLPattern, URLResolver, include, path, re_path, reverse_lazy
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularSwaggerSplitView

from chatflow import errors
from chatflow.dialects import served
from chatflow.endpoints import (
    accounts,
    acts,
    conversations,
    inbox,
    jobs,
    pages,
    probes,
    schemas,
    sends,
    tokens,
    turns,
    uploads,
)
from chatflow.languages import localized
from chatflow.page_policy import strict
from chatflow.scopes import NAMESPACE

api = [
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
    path("chat", RedirectView.as_view(pattern_name="chat")),
    # In the envelope also with DEBUG, where Django shows a page of its own.
    re_path("", errors.not_found),
]

# Its own "/" would lose the slash behind a prefix.
admin.site.site_url = reverse_lazy("home")  # type: ignore[assignment]

urlpatterns: list[URLPattern | URLResolver] = [
    path("", RedirectView.as_view(pattern_name="chat"), name="home"),
    path(settings.BASE_PATH.removeprefix("/"), include(api)),
    path("", include(([path("", include(each.endpoints)) for each in served()], NAMESPACE))),
    path(
        "accounts/login/",
        strict(localized(auth_views.LoginView.as_view(template_name="chatflow/login.html"))),
        name="login",
    ),
    path("accounts/once/", accounts.sign_in_once, name="sign-in-once"),
    path("accounts/tokens/", accounts.tokens, name="token-page"),
    path("accounts/logout/", auth_views.LogoutView.as_view(), name="logout"),
    path("admin/", admin.site.urls),
    path("api/schema/", schemas.Schema.as_view(), name="schema"),
    # Its template has no answer to OPTIONS.
    path(
        "api/docs/",
        SpectacularSwaggerSplitView.as_view(url_name="schema", http_method_names=["get", "head"]),
        name="docs",
    ),
    path("healthz", probes.healthz, name="healthz"),
    path("readyz", probes.readyz, name="readyz"),
    path("metrics", probes.metrics, name="metrics"),
]

if apps.is_installed("workflows.invoicing"):
    urlpatterns.append(path("invoices/", include("workflows.invoicing.urls")))

handler404 = errors.not_found
handler500 = errors.server_error
