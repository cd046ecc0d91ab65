"""This site's root: the API and its pages, the protocols, and what else a site has."""

from django.apps import apps
from django.contrib import admin
from django.contrib.auth import views as auth_views
from django.templatetags.static import static
from django.urls import URLPattern, URLResolver, include, path, reverse_lazy
from django.utils.functional import lazy
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularSwaggerSplitView

from chatflow.answers import errors
from chatflow.answers.languages import localized
from chatflow.answers.page_policy import strict
from chatflow.endpoints import accounts, schemas

# Its own "/" would lose the slash behind a prefix.
admin.site.site_url = reverse_lazy("home")  # type: ignore[assignment]

urlpatterns: list[URLPattern | URLResolver] = [
    path("", RedirectView.as_view(pattern_name="chatflow:chat"), name="home"),
    # The admin's pages name none. Its address is known when the static files are collected.
    path("favicon.ico", RedirectView.as_view(url=lazy(static, str)("chatflow/favicon.svg"))),
    path("ai-demo/", include("chatflow.api")),
    path("", include("chatflow.protocols")),
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
    path("", include("chatflow.probes")),
]

if apps.is_installed("workflows.invoicing"):
    urlpatterns.append(path("invoices/", include("workflows.invoicing.urls")))

handler404 = errors.not_found
handler500 = errors.server_error
