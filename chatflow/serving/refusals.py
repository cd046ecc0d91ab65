"""The log of refused requests: one line for each, where nothing in the site's code is wrong."""

import logging

from django.core.exceptions import DisallowedHost, PermissionDenied

from chatflow.workflows.exceptions import first_line


class Refusals(logging.Filter):
    """Makes a warning of one line of what Django logs with its traceback.

    While the database is away every request fails, anybody can send any Host header, and what
    somebody may not see is refused by PermissionDenied. The traceback is there where the logger's
    level is DEBUG.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        # Logging may be set up twice, as by runserver, and a logger then has the filter twice.
        if getattr(record, "is_refusal", False):
            return True
        # It reaches the models, and logging is set up before them.
        from chatflow.workflows.services import outages

        error = record.exc_info[1] if record.exc_info else None
        if error is None:
            return self._is_news(record)
        if outages.is_unavailable(error):
            path: str = getattr(getattr(record, "request", None), "path", "A request")
            # As Django writes it: whoever asks may have put a line end there.
            path = path.encode("unicode_escape").decode("ascii")
            record.msg, record.args = "%s is answered 503: %s", (path, first_line(error))
        elif not isinstance(error, DisallowedHost | PermissionDenied):
            return True
        _make_warning(record)
        if not logging.getLogger(record.name).isEnabledFor(logging.DEBUG):
            record.exc_info = None
        return True

    def _is_news(self, record: logging.LogRecord) -> bool:
        """Say whether Django's line about a status that is no fault says something new."""
        if getattr(record, "status_code", None) != 503:
            return True
        _make_warning(record)
        return not hasattr(getattr(record, "request", None), "database_out")


def _make_warning(record: logging.LogRecord) -> None:
    record.levelno, record.levelname = logging.WARNING, "WARNING"
    record.is_refusal = True
