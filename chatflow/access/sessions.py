"""Sign-ins in the database, as Django keeps them; SESSION_ENGINE names this module."""

from django.contrib.sessions.backends import db
from django.contrib.sessions.backends.base import UpdateError

from chatflow.access import tallies
from chatflow.workflows.services import outages


class SessionStore(db.SessionStore):
    """Django's own, which takes every failure to save a session for a session that was deleted.

    Its answer to that is a 400, also where the database is read-only or locked.
    """

    def save(self, must_create: bool = False) -> None:
        try:
            super().save(must_create)
        except UpdateError as error:
            cause = error.__context__
            if cause is not None and outages.is_unavailable(cause):
                raise cause from cause.__cause__
            raise

    @classmethod
    def clear_expired(cls) -> None:
        """Delete what is over: sign-ins, and the tallies, most of which are about them.

        For ``manage.py clearsessions``.
        """
        super().clear_expired()
        tallies.prune()
