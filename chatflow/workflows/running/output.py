"""The verbs that show something while the workflow goes on: its progress and its words."""

from asgiref.sync import sync_to_async

from chatflow.workflows.models import Event
from chatflow.workflows.running.lanes import is_alone
from chatflow.workflows.running.record import Record
from chatflow.workflows.store import events


def report(record: Record, percent: int, message: str) -> None:
    """See Context.progress()."""
    record.attempt.check()
    percent = min(99, max(0, int(percent)))
    message = events.clean(message)[: events.MESSAGE_LENGTH]
    if record.replays or (percent, message) in record.reports:
        # An earlier run has reported it.
        return
    # The event's own percent and message are the job's, which never go back; a later run knows the
    # report again by these.
    data = {"said": [percent, message]}
    record.events.append(Event.Type.PROGRESS, progress=percent, message=message, data=data)


def write(record: Record, text: str) -> None:
    """See Context.write()."""
    record.attempt.check()
    record.say(events.clean(text))


async def awrite(record: Record, text: str) -> None:
    """See Context.write()."""
    if may_write_at_once(record):
        write(record, text)
    else:
        await sync_to_async(write)(record, text)


def may_write_at_once(record: Record) -> bool:
    """Say whether write() may be called on the event loop: it would wait for nothing."""
    return record.says_at_once and is_alone()
