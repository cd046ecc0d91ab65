"""Where everything is; the API and its pages below BASE_PATH."""

from django.apps import apps
from django.conf import settings
from django.contrib import admin
from django.contrib.auth import views as auth_views
from django.urls import URLPattern, URLResolver, include, path, re_path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from chatflow import actions, approvals, documents, errors, health, sessions, views

api = [
    path("chat/send", views.send, name="send"),
    path("chat/action", actions.act, name="action"),
    path("chat/history/<path:session_id>", views.history, name="history"),
    path("chat/session/<path:session_id>/export", sessions.export, name="export"),
    path("chat/session/<path:session_id>", sessions.delete, name="session"),
    path("workflow/status/<str:job_id>", views.status, name="status"),
    path("workflow/stream/<str:job_id>", views.stream, name="stream"),
    path("workflow/cancel/<str:job_id>", views.cancel, name="cancel"),
    path("workflow/retry/<str:job_id>", views.retry, name="retry"),
    path("workflow/jobs", views.jobs, name="jobs"),
    path("workflow/approvals", approvals.pending, name="approvals"),
    path("workflow/approval/<str:approval_id>", approvals.decide, name="approval"),
    path("knowledge/documents", documents.shelf, name="documents"),
    path("knowledge/documents/<uuid:document_id>", documents.document, name="document"),
    path("knowledge/pages/<uuid:document_id>", documents.page, name="document-page"),
    path("chat/", views.chat, name="chat"),
    path("chat/example/", views.example, name="example"),
    path("chat", RedirectView.as_view(pattern_name="chat")),
    # In the envelope also with DEBUG, where Django shows a page of its own.
    re_path("", errors.not_found),
]

urlpatterns: list[URLPattern | URLResolver] = [
    path("", RedirectView.as_view(pattern_name="chat"), name="home"),
    path(settings.BASE_PATH.removeprefix("/"), include(api)),
    path("accounts/login/", auth_views.LoginView.as_view(), name="login"),
    path("accounts/logout/", auth_views.LogoutView.as_view(), name="logout"),
    path("admin/", admin.site.urls),
    path("api/schema/", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs/", SpectacularSwaggerSplitView.as_view(url_name="schema"), name="docs"),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", health.metrics, name="metrics"),
]

if apps.is_installed("workflows.library.invoicing"):
    urlpatterns.append(path("invoices/", include("workflows.library.invoicing.urls")))

handler404 = errors.not_found
handler500 = errors.server_error
