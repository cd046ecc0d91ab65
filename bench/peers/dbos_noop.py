"""DBOS with a workflow that does nothing. It runs in an environment without Chatflow's packages.

``dbos_noop.py work`` is one of the workers; ``dbos_noop.py enqueue 1000`` fills their queue and
prints when it began.
"""

import os
import sys
import threading
import time

from dbos import DBOS  # type: ignore[import-not-found]

QUEUE = "noops"
# With DBOS's defaults a queue is polled once a second, and the first to poll takes all of it. Of
# the settings that its documentation offers, these were the fastest for two workers that share.
SETTINGS = {"polling_interval_sec": 0.01, "worker_concurrency": 100}


def noop() -> None:
    return None


def launch(*, listens: bool) -> None:
    DBOS(
        config={
            "name": "bench-noops",
            "system_database_url": os.environ["DATABASE_URL"].replace("postgres:", "postgresql:"),
            "application_version": "1",
            "executor_id": str(os.getpid()),
            "log_level": "WARNING",
        }
    )
    if not listens:
        DBOS.listen_queues([])
    DBOS.launch()
    DBOS.register_queue(QUEUE, **SETTINGS)


def main(verb: str, count: str = "0") -> None:
    workflow = DBOS.workflow(name="noop")(noop)
    launch(listens=verb == "work")
    if verb == "work":
        threading.Event().wait()
    print(time.monotonic())
    for _ in range(int(count)):
        DBOS.enqueue_workflow(QUEUE, workflow)
    DBOS.destroy()


if __name__ == "__main__":
    main(*sys.argv[1:])
