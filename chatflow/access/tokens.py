"""Making Bearer tokens, finding those of a user, and ending them."""

from datetime import timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import is_password_usable
from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from django.db.models.signals import post_save, pre_save
from django.dispatch import receiver
from rest_framework.exceptions import APIException, NotFound

from chatflow.models import Token
from chatflow.workflows import clock
from chatflow.workflows.registry import get_workflow
from chatflow.workflows.users import has_field, is_active

# Days that a token lives unless told otherwise, and at most where its user makes it.
DAYS = 30
MOST_DAYS = 365
# Tokens of one user; so many that only a mistake reaches them.
MOST = 100


class TokenNotFound(NotFound):
    """The user has no such token."""

    default_detail = "There is no such token."


class TooManyTokens(APIException):
    """The user has as many tokens as one may have."""

    status_code = 409
    default_detail = f"You have {MOST} tokens; revoke some first."
    default_code = "too_many"


def make_token(
    user: Any,
    *,
    name: str = "",
    scope: str = Token.Scope.ALL,
    workflow: str = "",
    days: int = DAYS,
) -> tuple[Token, str]:
    """Make a token, and clear away the user's expired ones.

    Args:
        user: whose it is.
        name: what they call it by.
        scope: one of Token.Scope.
        workflow: the name of the only one that it is for; empty for all.
        days: how long it lives.

    Returns:
        Its row, and the token itself, which is kept nowhere.

    Raises:
        UnknownWorkflow: there is no workflow of that name.
        TooManyTokens: the user has enough.
    """
    if workflow:
        get_workflow(workflow)
    mine = Token.objects.filter(user=user)
    mine.filter(expiry__lt=Now()).delete()
    if mine.count() >= MOST:
        raise TooManyTokens
    # Knox counts from this host's present, the token lives by the database's.
    lifetime = timedelta(days=days, seconds=-clock.skew())
    return Token.objects.create(user, expiry=lifetime, name=name, scope=scope, workflow=workflow)


def tokens_of(user: Any) -> "QuerySet[Token]":
    """Return the user's tokens that are good, the newest first."""
    good = Q(expiry__isnull=True) | Q(expiry__gte=Now())
    found: QuerySet[Token] = Token.objects.filter(good, user=user)
    return found.order_by("-created", "public_id")


def revoke(user: Any, public_id: str) -> Token:
    """Delete a token; open streams that it opened end within seconds.

    Raises:
        TokenNotFound: the user has none of that id.
    """
    found = None if "\0" in public_id else tokens_of(user).filter(public_id=public_id).first()
    if found is None:
        raise TokenNotFound
    Token.objects.filter(pk=found.pk).delete()
    return found


@receiver(pre_save)
def notice_withdrawal(
    sender: Any, instance: Any, raw: bool, update_fields: Any, **kwargs: Any
) -> None:
    """Notice a save that takes a user's password away, as set_unusable_password() does.

    Django tells nobody of that. Only the hash shows it, which is another one each time.
    """
    if raw or instance._state.adding or not issubclass(sender, get_user_model()):
        return
    is_written = update_fields is None or "password" in update_fields
    if is_written and has_field("password") and not is_password_usable(instance.password):
        stored = sender._base_manager.filter(pk=instance.pk)
        instance._loses_password = stored.exclude(password=instance.password).exists()


@receiver(post_save)
def end_tokens(sender: Any, instance: Any, created: bool, **kwargs: Any) -> None:
    """End the tokens of a user who gets a new password, loses it, or is deactivated.

    Django keeps a new password on the user until it is saved. A hash that is made anew of the same
    password, as after an upgrade of Django, is none.
    """
    if created or not issubclass(sender, get_user_model()):
        return
    changes = getattr(instance, "_password", None) is not None
    loses = instance.__dict__.pop("_loses_password", False)
    if changes or loses or not is_active(instance):
        Token.objects.filter(user=instance.pk).delete()
