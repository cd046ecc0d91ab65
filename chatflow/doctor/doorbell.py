"""The doorbell: whether who waits hears at once, or only when it looks by itself."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

from chatflow.conf import conf
from chatflow.doctor.findings import Finding, Visit, note, ok, problem
from chatflow.workflows.bells import get_bell
from chatflow.workflows.bells.sqlite import log_touches
from chatflow.workflows.db import connection
from chatflow.workflows.exceptions import first_line

PATIENCE = 3.0
# A key that no job has.
NOBODY = 0
INOTIFY = "/proc/sys/fs/inotify"


def look(visit: Visit) -> Iterator[Finding]:
    """Ring, and hear; on SQLite see whether the kernel tells of writes."""
    if conf.QUEUE_CONNECTION == "sync":
        yield ok("Jobs run within their requests; nobody waits for a ring.")
    elif connection.vendor == "sqlite" and conf.QUEUE_CONNECTION != "redis":
        yield from _look_at_inotify(Path(connection.settings_dict["NAME"]).resolve())
    else:
        yield from _ring()


def _look_at_inotify(path: Path) -> Iterator[Finding]:
    with log_touches(path) as touches:
        if touches is not None:
            yield ok("inotify tells of commits.")
            return
    yield note(
        "inotify has no instance or watch left, or isn't there.",
        "Each process looks at the file a hundred times a second instead, which costs a few"
        " percent of a processor.",
        f"sysctl fs.inotify.max_user_instances=1024 fs.inotify.max_user_watches=65536 ({INOTIFY})",
    )


def _ring() -> Iterator[Finding]:
    heard = threading.Event()

    def on_ring(topic: str, key: int | None) -> None:
        # A new listener takes all for rung, by None.
        if key == NOBODY:
            heard.set()

    subscription = get_bell().listen(("due",), on_ring)
    try:
        began, error = time.monotonic(), ""
        try:
            get_bell().ring("due", NOBODY)
        except Exception as raised:
            error = first_line(raised)
        if heard.wait(PATIENCE):
            yield ok(f"A ring was heard after {(time.monotonic() - began) * 1000:.0f} ms.")
            return
    finally:
        subscription.close()
    told = f": {error}" if error else ""
    where = "Redis" if conf.QUEUE_CONNECTION == "redis" else "PostgreSQL's NOTIFY"
    yield problem(
        f"A ring by {where} wasn't heard within {PATIENCE:g} seconds{told}.",
        "Jobs begin, and streams go on, up to a second late.",
        "REDIS_URL must name a server that this host reaches"
        if where == "Redis"
        else "A pooler must be in session mode; see above",
    )
