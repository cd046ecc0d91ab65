"""Ordinary django-q2 tasks."""

import os
import signal
import time

from tests.acceptance.apps.ledger.models import Entry


def note(step: str) -> str:
    Entry.objects.create(job="task", step=step, attempt=1, pid=os.getpid())
    return step


def fail(step: str) -> None:
    note(step)
    raise RuntimeError("as it was asked to")


def hang(step: str) -> None:
    note(step)
    time.sleep(600)


def crash(step: str) -> None:
    note(step)
    os.kill(os.getpid(), signal.SIGKILL)


def swallow(step: str) -> None:
    """Hang, whatever comes."""
    note(step)
    while True:
        try:
            time.sleep(0.05)
        except BaseException:
            pass
