"""Bearer tokens in the admin: seen, made for oneself, and taken back."""

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth import get_user_model
from django.http import HttpRequest

from chatflow.access.tokens import DAYS, MOST_DAYS, make_token
from chatflow.models import Token
from chatflow.operations.admin.audited import Audited
from chatflow.operations.admin.confidential import Confidential
from chatflow.operations.admin.tables import Listed, moment
from chatflow.workflows.registry import all_workflows

# django-stubs makes these classes generic; at run time they are not.
if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Token]
    ModelForm = forms.ModelForm[Token]
else:
    ModelAdmin, ModelForm = admin.ModelAdmin, forms.ModelForm


class NewTokenForm(ModelForm):
    workflow = forms.ChoiceField(required=False, help_text="The only one that it is for.")
    days = forms.IntegerField(
        initial=DAYS, min_value=1, max_value=MOST_DAYS, help_text="How long it lives."
    )

    class Meta:
        model = Token
        fields = ("user", "name", "scope", "workflow")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        names = [(each.name, each.title) for each in all_workflows()]
        self.fields["workflow"].choices = [("", "Any"), *names]  # type: ignore[attr-defined]


@admin.register(Token)
class TokenAdmin(Audited, Confidential, Listed, ModelAdmin):
    """Whoever holds a token acts as its user: so only superusers make those of others."""

    named_by = "name"

    list_display = (
        *("name", "user", "scope", "workflow"),
        *(moment("created"), moment("expiry", "expires"), moment("last_used_at", "last used")),
    )
    list_select_related = ("user",)
    list_filter = ("scope",)
    search_fields = ("name", f"user__{get_user_model().USERNAME_FIELD}")
    raw_id_fields = ("user",)
    ordering = ("-created",)
    # Without the hash.
    readable = ("public_id", *list_display)

    def get_fields(self, request: HttpRequest, obj: Token | None = None) -> Any:
        if obj is not None:
            return self.readable
        own = ("name", "scope", "workflow", "days")
        return ("user", *own) if request.user.is_superuser else own

    def get_form(
        self, request: HttpRequest, obj: Token | None = None, change: bool = False, **kwargs: Any
    ) -> Any:
        if obj is not None:
            return super().get_form(request, obj, change, **kwargs)
        fields = self.get_fields(request)
        return super().get_form(request, obj, change, form=NewTokenForm, fields=fields)

    def has_change_permission(self, request: HttpRequest, obj: Token | None = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Token, form: Any, change: bool) -> None:
        asked = form.cleaned_data
        user = asked["user"] if request.user.is_superuser else request.user
        limits = {name: asked[name] for name in ("name", "scope", "workflow", "days")}
        row, secret = make_token(user, **limits)
        # The admin goes on with the row that it was given.
        obj.__dict__.update(row.__dict__)
        self.message_user(request, f"The token, which is shown this once: {secret}", messages.INFO)
