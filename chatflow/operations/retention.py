"""What goes when it is old: by the settings KEEP_TEXTS_DAYS and KEEP_ACTS_DAYS."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from chatflow.conf import conf
from chatflow.operations import append_only
from chatflow.operations.models import Act, Mark
from chatflow.workflows import clock
from chatflow.workflows.services import redaction


def redact() -> tuple[int, int, int]:
    """Take the words of what is too old, and the files of conversations.

    Returns:
        How many jobs, messages and files it were.
    """
    if not conf.KEEP_TEXTS_DAYS:
        return 0, 0, 0
    before = clock.now() - timedelta(days=conf.KEEP_TEXTS_DAYS)
    jobs = _walk("jobs", redaction.redact_jobs, before)
    messages = _walk("messages", redaction.redact_messages, before)
    redaction.redact_approvals(before)
    return jobs, messages, redaction.delete_files(before)


def remove_acts() -> int:
    """Remove acts that are too old from the log; return how many."""
    if not conf.KEEP_ACTS_DAYS:
        return 0
    old = Act.objects.filter(at__lt=clock.now() - timedelta(days=conf.KEEP_ACTS_DAYS))
    return append_only.remove(old) if old.exists() else 0


def _walk(
    what: str, walk: Callable[[datetime, redaction.Mark], Iterator[int]], before: datetime
) -> int:
    row, _ = Mark.objects.get_or_create(what=what)
    mark, count = redaction.Mark(row.upto, row.later), 0
    for done in walk(before, mark):
        count += done
        Mark.objects.filter(what=what).update(upto=mark.upto, later=mark.later)
    return count
