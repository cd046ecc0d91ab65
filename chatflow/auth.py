"""Who is asking, and may they see this job: Bearer token, session cookie, or signed link."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, cast

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.sessions.models import Session
from django.core.signing import BadSignature, Signer, b62_decode, b62_encode
from django.db import Error as DatabaseError
from django.db import transaction
from django.db.models import CharField, QuerySet, Value
from django.http import HttpRequest
from django.utils import timezone
from knox.auth import TokenAuthentication
from knox.crypto import hash_token
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.exceptions import AuthenticationFailed, NotAuthenticated
from rest_framework.request import Request

from chatflow import scopes
from chatflow.conf import conf
from chatflow.models import Token
from chatflow.tenants import tenant_of
from chatflow.workflows import clock, services
from chatflow.workflows.exceptions import JobNotFound
from chatflow.workflows.models import Job
from chatflow.workflows.services import outages
from chatflow.workflows.services.lookups import find_with
from chatflow.workflows.users import has_field

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
# How far behind the time of a token's last use may be.
USES_KEPT = timedelta(minutes=5)
BAD_LINK = "This link is not valid, or not any more."


class BearerAuthentication(TokenAuthentication):  # type: ignore[misc]
    """``Authorization: Bearer <token>``; the database has the token's hash only."""

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
            found = find_with(Token, "user", key=hash_token(token.decode()))
            if found is not None and (found.expiry is None or found.expiry >= clock.now()):
                valid = cast(tuple[Any, Token], self.validate_user(found))
                _note_use(found)
                return valid
        raise AuthenticationFailed("Invalid token.")


def _note_use(token: Token) -> None:
    """Keep when the token was used, but not each time: a query of its own would cost too much."""
    now = clock.now()
    if token.last_used_at is not None and token.last_used_at > now - USES_KEPT:
        return
    try:
        with transaction.atomic():
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

    def enforce_csrf(self, request: Request) -> None:
        if not from_this_site(request):
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
    return f"{job.public_id}:{job.user_id}:{job.user.password}:{stamp}"


def _link_age_limit() -> timedelta:
    return timedelta(seconds=conf.STREAM_LINK_TTL)


# Grants: by what right a job is being looked at. An open stream keeps the right alone.


@dataclass(frozen=True, kw_only=True, slots=True)
class Right:
    """A credential that opened a job, as little of it as tells whether it still holds."""

    user_id: Any
    kind: Literal["token", "session", "link"]
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
    """Say who is asking, and by what right: a Bearer token where there is one, or the cookie.

    Raises:
        NotAuthenticated, AuthenticationFailed: there is no good credential.
        TokenRefused: the token may not do what the request asks for.
    """
    found = BearerAuthentication().authenticate(request)
    if found is not None:
        user, token = found
        return Admission(user=user, right=_of_token(token), workflow=token.workflow)
    user = request.user
    if not user.is_authenticated:
        raise NotAuthenticated
    return Admission(user=user, right=_of_session(request))


def _of_token(token: Token) -> Right:
    return Right(user_id=token.user_id, kind="token", key=token.digest, expires=token.expiry)


def _of_session(request: HttpRequest) -> Right:
    user: Any = request.user
    return Right(
        user_id=user.pk,
        kind="session",
        key=request.session.session_key or "",
        password=user.password,
    )


def grant(request: Request, job: Job) -> Grant:
    """Return the right by which a signed-in request may go on looking at *job*.

    Args:
        request: of a view; its token, or its cookie, was found good.
        job: the user's own.
    """
    user, token = request.user, request.auth
    if not isinstance(token, Token):
        return Grant(job=job, user=user, right=_of_session(request._request))
    return Grant(job=job, user=user, right=_of_token(token), workflow=token.workflow)


def authorize(request: HttpRequest, public_id: str, *, by_link: bool = True) -> Grant:
    """Say which job the request is about, and by what right it may see it.

    A Bearer token decides where there is one. A link is next: it was made for this very job, while
    the cookie is whoever happens to be signed in.

    Args:
        request: the request.
        public_id: the job's.
        by_link: whether a link counts.

    Raises:
        NotAuthenticated, AuthenticationFailed: there is no good credential.
        JobNotFound: there is no such job, or it is somebody else's, or another tenant's.
    """
    found = BearerAuthentication().authenticate(request)
    if found is not None:
        user, token = found
        job = services.get_job(user, public_id, tenant=tenant_of(request, user))
        return Grant(job=job, user=user, right=_of_token(token), workflow=token.workflow)
    refused: NotAuthenticated | AuthenticationFailed = NotAuthenticated()
    if by_link and "token" in request.GET:
        try:
            return _open_link(request.GET["token"], public_id)
        except AuthenticationFailed as error:
            refused = error
    user = request.user
    if not user.is_authenticated:
        raise refused
    job = services.get_job(user, public_id, tenant=tenant_of(request, user))
    return Grant(job=job, user=user, right=_of_session(request))


class JobAuthentication(BaseAuthentication):
    """Whatever opens the one job that a view is about; its grant is ``request.auth``."""

    def authenticate(self, request: Request) -> tuple[Any, Grant]:
        grant = authorize(request._request, request.parser_context["kwargs"]["job_id"])
        return grant.user, grant

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


def _any_job(public_id: str) -> Job:
    jobs = Job.objects.select_related("user__access", "session")
    job = None if "\0" in public_id else jobs.filter(public_id=public_id).first()
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
        password=job.user.password,
        issued=issued,
        expires=issued + _link_age_limit(),
    )
    access = getattr(job.user, "access", None)
    valid_from = access.links_valid_from if access is not None else None
    if not job.user.is_active or not _in_time(right, valid_from):
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
        Value("user", CharField()), "pk", nothing, "password", "access__links_valid_from"
    )
    tokens = Token.objects.filter(digest__in=_keys(rights, "token")).values_list(
        Value("token", CharField()), "user", "digest", nothing, "expiry"
    )
    # By this host's clock, as Django itself goes by it.
    sessions = Session.objects.filter(
        session_key__in=_keys(rights, "session"), expire_date__gt=timezone.now()
    ).values_list(
        Value("session", CharField()),
        Value(None, get_user_model()._meta.pk),
        "session_key",
        nothing,
        "expire_date",
    )
    found = users.union(tokens, sessions, all=True)
    rows = {(kind, key or user): rest for kind, user, key, *rest in found}
    return {right for right in rights if not _holds(right, rows)}


def active_users() -> QuerySet[Any]:
    """The users who have not been deactivated; a user model need not know that."""
    users = get_user_model()._default_manager
    return users.filter(is_active=True) if has_field("is_active") else users.all()


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
    return right.kind == "link" or (right.kind, right.key) in rows
