"""Who is asking, and may they see this job: Bearer token, session cookie, or signed link.

Or whatever else the classes in ``CHATFLOW["AUTHENTICATION_CLASSES"]`` take for a credential.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any, Literal, cast

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.sessions.backends.db import SessionStore
from django.core.signing import BadSignature, Signer, b62_decode, b62_encode
from django.db import Error as DatabaseError
from django.db.models import CharField, QuerySet, Value
from django.http import HttpRequest
from django.utils import timezone
from knox.auth import TokenAuthentication
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.exceptions import AuthenticationFailed, NotAuthenticated
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request

from chatflow.access import scopes
from chatflow.access.entrance import authenticators, challenge, received
from chatflow.access.tenants import tenant_of
from chatflow.conf import conf
from chatflow.models import Token, digest_of
from chatflow.workflows import clock, services
from chatflow.workflows.db import atomic
from chatflow.workflows.exceptions import JobNotFound
from chatflow.workflows.models import Job
from chatflow.workflows.services import outages
from chatflow.workflows.services.lookups import find_with
from chatflow.workflows.users import active_users, has_field, is_active, password_of

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
# How far behind the time of a token's last use may be.
USES_KEPT = timedelta(minutes=5)
BAD_LINK = "This link is not valid, or not any more."


class BearerAuthentication(TokenAuthentication):  # type: ignore[misc]
    """``Authorization: Bearer <token>``; the database has the token's hash only."""

    def authenticate_header(self, request: HttpRequest | Request) -> str:
        # Knox's own tokens may have another word, by the project's REST_KNOX.
        return "Bearer"

    def authenticate(self, request: HttpRequest | Request) -> tuple[Any, Token] | None:
        """Return the token's user, and the token; None where there is no token.

        Raises:
            AuthenticationFailed: there is no such token, or not any more.
            TokenRefused, JobNotFound: it may not do what the request asks for.
        """
        found = cast(tuple[Any, Token] | None, super().authenticate(request))
        if found is not None:
            scopes.check(found[1], request)
        return found

    def authenticate_credentials(self, token: bytes) -> tuple[Any, Token]:
        """Return the token's user, as Knox does, but with one plain query: every call asks it.

        Unlike Knox's, looking deletes no expired token.
        """
        # Real tokens are hexadecimal; other bytes must not reach the database.
        if token.isalnum():
            found = find_with(Token, "user", key=digest_of(token.decode()))
            if found is not None and (found.expiry is None or found.expiry >= clock.now()):
                if not is_active(found.user):
                    raise AuthenticationFailed("User inactive or deleted.")
                _note_use(found)
                return found.user, found
        raise AuthenticationFailed("Invalid token.")


def _note_use(token: Token) -> None:
    """Keep when the token was used, but not each time: a query of its own would cost too much."""
    now = clock.now()
    if token.last_used_at is not None and token.last_used_at > now - USES_KEPT:
        return
    try:
        with atomic():
            Token.objects.filter(pk=token.pk).update(last_used_at=now)
    except DatabaseError as error:
        # A standby that only reads lets people read.
        if not outages.is_unavailable(error):
            raise


class CookieAuthentication(SessionAuthentication):
    """The session cookie; what changes something must come from a page of this site.

    The browser's own word for it is enough, so that a plain ``fetch()`` without any header works;
    without that word Django's CSRF token must be there.
    """

    def authenticate(self, request: Request) -> tuple[Any, None] | None:
        # Not every user model knows of deactivation, nor has every project sessions.
        user = getattr(request._request, "user", None)
        if user is None or not user.is_authenticated or not is_active(user):
            return None
        self.enforce_csrf(request)
        return user, None

    def enforce_csrf(self, request: Request) -> None:
        if request.method not in SAFE_METHODS and not from_this_site(request):
            super().enforce_csrf(request)


def from_this_site(request: HttpRequest | Request) -> bool:
    """Whether the browser says that a page of this site, or of a trusted one, sent the request."""
    if request.META.get("HTTP_SEC_FETCH_SITE") == "same-origin":
        return True
    origin = request.META.get("HTTP_ORIGIN")
    own = f"{request.scheme}://{request.get_host()}"
    return origin is not None and (origin == own or origin in settings.CSRF_TRUSTED_ORIGINS)


# Signed links. A link is for one job. It says when it was issued and is signed together with the
# user's password hash, so that it dies with the password as a password reset link does.


def sign_link(job: Job, issued: datetime | None = None) -> str:
    """Return the token of a link to *job*.

    Args:
        job: the job.
        issued: since when the link is valid; by default since the job was sent, so that the same
            job gives the same link again.
    """
    stamp = b62_encode(((issued or job.created_at) - EPOCH) // MICROSECOND)
    return f"{stamp}.{_signer().signature(_signed(job, stamp))}"


def job_from_link(token: str, public_id: str) -> Job:
    """Return the job that the link's *token* opens.

    Raises:
        AuthenticationFailed: the token is for another job, tampered, expired or revoked.
    """
    return _open_link(token, public_id).job


def _signer() -> Signer:
    return Signer(salt="chatflow.link", sep=".")


def _signed(job: Job, stamp: str) -> str:
    return f"{job.public_id}:{job.user_id}:{password_of(job.user)}:{stamp}"


def _link_age_limit() -> timedelta:
    return timedelta(seconds=conf.STREAM_LINK_TTL)


# Grants: by what right a job is being looked at. An open stream keeps the right alone.


@dataclass(frozen=True, kw_only=True, slots=True)
class Right:
    """A credential that opened a job, as little of it as tells whether it still holds."""

    user_id: Any
    # The last one: what a class of the project's own has let in.
    kind: Literal["token", "session", "link", "other"]
    # The token's digest, or the session's key.
    key: str = ""
    # The password hash that it depends on, and when it was issued and runs out.
    password: str = ""
    issued: datetime | None = None
    expires: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Admission:
    """Who was let in, by which right."""

    user: Any
    right: Right
    # The one whose jobs may be seen; empty for all.
    workflow: str = ""


@dataclass(frozen=True, kw_only=True)
class Grant(Admission):
    """A job, and who opened it by which right."""

    job: Job


def admit(request: HttpRequest) -> Admission:
    """Say who is asking, and by what right; by the classes that let them into the views too.

    Raises:
        NotAuthenticated, AuthenticationFailed: there is no good credential.
        PermissionDenied: a class of the project's own refuses them.
        TokenRefused: the token may not do what the request asks for.
    """
    asked = received(request)
    right = _right_of(asked, asked.user, asked.auth, asked.successful_authenticator)
    return Admission(user=asked.user, right=right, workflow=_workflow_of(asked.auth))


def grant(request: Request, job: Job) -> Grant:
    """Return the right by which a signed-in request may go on looking at *job*.

    Args:
        request: of a view; whatever it has for a credential was found good.
        job: the user's own.
    """
    right = _right_of(request, request.user, request.auth, request.successful_authenticator)
    return Grant(job=job, user=request.user, right=right, workflow=_workflow_of(request.auth))


def _workflow_of(auth: Any) -> str:
    return auth.workflow if isinstance(auth, Token) else ""


def _right_of(request: Request, user: Any, auth: Any, by: Any) -> Right:
    if isinstance(auth, Token):
        return _of_token(auth)
    if isinstance(by, SessionAuthentication) and is_stored():
        return _of_session(request._request)
    return _of_other(user)


def _of_token(token: Token) -> Right:
    return Right(user_id=token.user_id, kind="token", key=token.digest, expires=token.expiry)


def right_of_session(request: HttpRequest) -> Right:
    """Return the right by which the user of a page goes on looking at something."""
    return _of_session(request) if is_stored() else _of_other(request.user)


def _of_session(request: HttpRequest) -> Right:
    user: Any = request.user
    return Right(
        user_id=user.pk,
        kind="session",
        key=request.session.session_key or "",
        password=password_of(user),
    )


def _of_other(user: Any) -> Right:
    # Nobody can tell here when such a credential runs out. So the stream ends by itself, and its
    # client comes back with it.
    now = clock.now()
    return Right(
        user_id=user.pk,
        kind="other",
        password=password_of(user),
        issued=now,
        expires=now + _link_age_limit(),
    )


def authorize(request: HttpRequest, public_id: str, *, by_link: bool = True) -> Grant:
    """Say which job a stream's request is about, and by what right it may see it.

    Args:
        request: the request.
        public_id: the job's.
        by_link: whether a link counts.

    Raises:
        NotAuthenticated, AuthenticationFailed: there is no good credential.
        PermissionDenied: a class of the project's own refuses whoever it is.
        JobNotFound: there is no such job, or it is somebody else's, or another tenant's.
    """
    by = JobAuthentication(by_link=by_link)
    asked: Any = received(request, {"job_id": public_id}, [by])
    found: Grant = asked.grant
    return found


class JobAuthentication(BaseAuthentication):
    """Whatever opens the one job that a view is about; its grant is ``request.grant``."""

    def __init__(self, *, by_link: bool = True) -> None:
        self._by_link = by_link

    def authenticate(self, request: Any) -> tuple[Any, Any]:
        """Return the request's user, and its credential.

        Whatever was sent for this request decides where there is something. A link is next: it was
        made for this very job, while the cookie is whoever happens to be signed in.
        """
        public_id = request.parser_context["kwargs"]["job_id"]
        kinds = authenticators()
        found = self._ask(request, public_id, [each for each in kinds if not _is_cookie(each)])
        refused: NotAuthenticated | AuthenticationFailed = NotAuthenticated()
        if found is None and self._by_link and "token" in request.GET:
            try:
                request.grant = _open_link(request.GET["token"], public_id)
            except AuthenticationFailed as error:
                refused = error
            else:
                return request.grant.user, None
        found = found or self._ask(request, public_id, filter(_is_cookie, kinds))
        if found is None:
            raise refused
        return found

    def _ask(
        self, request: Any, public_id: str, kinds: Iterable[type[BaseAuthentication]]
    ) -> tuple[Any, Any] | None:
        for by in (each() for each in kinds):
            found = by.authenticate(request)
            if found is not None:
                user, auth = found
                # Whoever else it is is refused by entrance.IsAccount.
                if not isinstance(user, get_user_model()):
                    return found
                job = services.get_job(user, public_id, tenant=tenant_of(request, user))
                right = _right_of(request, user, auth, by)
                request.grant = Grant(job=job, user=user, right=right, workflow=_workflow_of(auth))
                return user, auth
        return None

    def authenticate_header(self, request: Request) -> str | None:
        return challenge(request)


def _is_cookie(kind: type[BaseAuthentication]) -> bool:
    return issubclass(kind, SessionAuthentication)


def _any_job(public_id: str) -> Job:
    job = None
    if "\0" not in public_id:
        job = find_with(Job, "user__chatflow_access", "session", by="public_id", key=public_id)
    if job is None:
        raise JobNotFound
    return job


def _open_link(token: str, public_id: str) -> Grant:
    stamp, _, signature = token.partition(".")
    try:
        job = _any_job(public_id)
        _signer().unsign(f"{_signed(job, stamp)}.{signature}")
    except (JobNotFound, BadSignature):
        raise AuthenticationFailed(BAD_LINK) from None
    issued = EPOCH + b62_decode(stamp) * MICROSECOND
    right = Right(
        user_id=job.user_id,
        kind="link",
        password=password_of(job.user),
        issued=issued,
        expires=issued + _link_age_limit(),
    )
    access = getattr(job.user, "chatflow_access", None)
    valid_from = access.links_valid_from if access is not None else None
    if not is_active(job.user) or not _in_time(right, valid_from):
        raise AuthenticationFailed(BAD_LINK)
    return Grant(job=job, user=job.user, right=right)


def _in_time(right: Right, links_valid_from: datetime | None) -> bool:
    if right.expires is not None and right.expires < clock.now():
        return False
    return right.issued is None or links_valid_from is None or right.issued >= links_valid_from


def revoked(rights: Collection[Right]) -> set[Right]:
    """Return those of *rights* that don't hold any more; one query for all of them."""
    nothing = Value("", CharField())
    users = active_users().filter(pk__in={right.user_id for right in rights})
    # First, as it sets the columns' types: a user's key may be of any type.
    users = users.values_list(
        Value("user", CharField()),
        "pk",
        nothing,
        "password" if has_field("password") else nothing,
        "chatflow_access__links_valid_from",
    )
    tokens = Token.objects.filter(digest__in=_keys(rights, "token")).values_list(
        Value("token", CharField()), "user", "digest", nothing, "expiry"
    )
    found = users.union(tokens, *_sessions(_keys(rights, "session")), all=True)
    rows = {(kind, key or user): rest for kind, user, key, *rest in found}
    return {right for right in rights if not _holds(right, rows)}


def is_stored() -> bool:
    """Say whether the project's sessions are rows, which tell when they end."""
    return issubclass(_session_store(), SessionStore)


def session_model() -> type[Any]:
    """Return the model of those rows."""
    model: type[Any] = _session_store().get_model_class()
    return model


def _session_store() -> type[Any]:
    store: type[Any] = import_module(settings.SESSION_ENGINE).SessionStore
    return store


def _sessions(keys: set[str]) -> list[QuerySet[Any, Any]]:
    if not is_stored():
        return []
    # By this host's clock, as Django itself goes by it.
    good = session_model()._default_manager.filter(
        session_key__in=keys, expire_date__gt=timezone.now()
    )
    return [
        good.values_list(
            Value("session", CharField()),
            Value(None, get_user_model()._meta.pk),
            "session_key",
            Value("", CharField()),
            "expire_date",
        )
    ]


def _keys(rights: Collection[Right], kind: str) -> set[str]:
    # A set without any member would take the branch out of the union; this one matches no row.
    return {right.key for right in rights if right.kind == kind} or {""}


def _holds(right: Right, rows: dict[tuple[str, Any], list[Any]]) -> bool:
    user = rows.get(("user", right.user_id))
    if user is None:
        return False
    password, links_valid_from = user
    if right.password not in ("", password) or not _in_time(right, links_valid_from):
        return False
    return right.kind in ("link", "other") or (right.kind, right.key) in rows
