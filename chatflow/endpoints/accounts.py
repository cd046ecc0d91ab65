"""The pages of an account: its tokens, and the link that signs in once."""

from typing import Any

from django import forms
from django.conf import settings
from django.contrib.auth import login
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe
from rest_framework.exceptions import APIException

from chatflow.access import sign_in_links
from chatflow.access.tenants import workflows_of
from chatflow.access.tokens import DAYS, MOST_DAYS, make_token, revoke, tokens_of
from chatflow.answers.languages import localized
from chatflow.answers.page_policy import strict
from chatflow.models import Token
from chatflow.wire.serializers import no_control

# The API calls them by their English names.
SCOPES = [
    (Token.Scope.ALL.value, _("Everything")),
    (Token.Scope.SEND.value, _("Send messages, and follow their jobs")),
    (Token.Scope.READ.value, _("Read only")),
]


class TokenForm(forms.Form):
    name = forms.CharField(label=_("Name"), max_length=100, validators=[no_control])
    scope = forms.ChoiceField(label=_("It may"), choices=SCOPES)
    workflow = forms.ChoiceField(required=False, label=_("Only the workflow"))
    days = forms.IntegerField(
        label=_("Days that it lives"), initial=DAYS, min_value=1, max_value=MOST_DAYS
    )

    def __init__(self, request: HttpRequest, data: Any = None) -> None:
        super().__init__(data)
        names = [(each.name, each.title) for each in workflows_of(request)]
        self.fields["workflow"].choices = [("", _("Any")), *names]  # type: ignore[attr-defined]


@never_cache
@strict
@localized
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def tokens(request: HttpRequest) -> HttpResponse:
    """Show the user's tokens; make one, which is shown this once, or revoke one."""
    form, secret = TokenForm(request, request.POST or None), ""
    try:
        if "revoke" in request.POST:
            revoke(request.user, request.POST["revoke"])
            return redirect("token-page")
        if request.method == "POST" and form.is_valid():
            _, secret = make_token(request.user, **form.cleaned_data)
            form = TokenForm(request)
    except APIException as error:
        form.add_error(None, str(error.detail))
    context = {"form": form, "secret": secret, "tokens": tokens_of(request.user)}
    return render(request, "chatflow/tokens.html", context)


@never_cache
@require_safe
def sign_in_once(request: HttpRequest) -> HttpResponse:
    """Sign in whoever has a link of ``manage.py sign_in_link``; the link is used up by that.

    Raises:
        PermissionDenied: a page has the browser load it, as an image perhaps; nobody opens it.
    """
    if request.headers.get("Sec-Fetch-Dest", "document") != "document":
        raise PermissionDenied
    user = sign_in_links.open_link(request.GET.get("token", ""))
    if user is None:
        return redirect(f"{reverse('login')}?link=dead")
    login(request, user, backend=settings.AUTHENTICATION_BACKENDS[0])
    return redirect("chatflow:chat")
