"""The site's own records of its users."""

import hashlib
import secrets
import uuid
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import models
from knox.models import AbstractAuthToken, AuthTokenManager, get_expiry
from knox.settings import CONSTANTS

from chatflow.workflows.texts import Unsaid

# How long a token lives that is made without a word of it.
TTL = timedelta(hours=10)


class Access(models.Model):
    """Since when a user's signed links are valid; ``revoke_tokens`` moves it to now."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="chatflow_access"
    )
    links_valid_from = models.DateTimeField()

    class Meta:
        verbose_name_plural = "access"

    def __str__(self) -> str:
        return f"{self.user}: links since {self.links_valid_from}"


def make_token_id() -> str:
    """Return a new public id of a token: ``token_`` and 32 random hex digits."""
    return f"token_{uuid.uuid4().hex}"


def digest_of(token: str) -> str:
    """Return what is kept of a token, whatever the project's REST_KNOX says of Knox's own."""
    return hashlib.sha512(token.encode()).hexdigest()


class Tokens(AuthTokenManager):  # type: ignore[misc]
    """Makes tokens as Knox does, by none of its settings."""

    def create(
        self, user: Any, expiry: timedelta | None = TTL, prefix: Any = None, **fields: Any
    ) -> "tuple[Token, str]":
        """Make a token.

        Args:
            user: whose it is.
            expiry: how long it lives; None for ever.
            prefix: not used; Knox's own has it.
            fields: others of its row.

        Returns:
            Its row, and the token itself, which is kept nowhere.
        """
        token = secrets.token_hex(32)
        row: Token = models.Manager.create(
            self,
            user=user,
            digest=digest_of(token),
            token_key=token[: CONSTANTS.TOKEN_KEY_LENGTH],
            expiry=get_expiry(expiry),
            **fields,
        )
        return row, token


class Token(Unsaid, AbstractAuthToken):  # type: ignore[misc]
    """A Bearer token: Knox's, with a name and limits. Of the token itself it keeps the hash only.

    What its scope lets it do is in ``chatflow/access/scopes.py``.
    """

    class Scope(models.TextChoices):
        ALL = "all", "Everything"
        SEND = "send", "Send messages, and follow their jobs"
        READ = "read", "Read only"

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="chatflow_tokens"
    )
    # What its owner calls it by, in the API's addresses too: the key below is its hash.
    public_id = models.CharField(
        max_length=38, unique=True, default=make_token_id, editable=False, verbose_name="id"
    )
    name = models.CharField(max_length=100, blank=True, default="")
    scope = models.CharField(max_length=4, choices=Scope.choices, default=Scope.ALL)
    workflow = models.CharField(
        max_length=100, blank=True, default="", help_text="The only one it is for; empty: all."
    )
    # To some minutes: see auth.BearerAuthentication.
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = Tokens()


class Tally(models.Model):
    """How much of something somebody has had in the current window of time; see access/tallies.py.

    Nothing points to a row, and no deletion of a user's data lowers it.
    """

    # What is counted, and whose, such as send:42.
    key = models.CharField(max_length=200, primary_key=True)
    count = models.BigIntegerField()
    # Seconds since 1970, by the database's clock.
    ends_at = models.FloatField()

    class Meta:
        verbose_name_plural = "tallies"

    def __str__(self) -> str:
        return f"{self.key}: {self.count}"
