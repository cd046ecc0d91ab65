"""``python -m bench.peers.stock_q2.tasks 2`` puts tasks into the queue for 2 seconds."""

import logging
import sys
import time

import django


def noop() -> None:
    return None


def main(seconds: float) -> None:
    django.setup()
    # One line for each task, by default.
    logging.disable()
    from django_q.tasks import async_task

    end = time.monotonic() + seconds
    while time.monotonic() < end:
        async_task("bench.peers.stock_q2.tasks.noop")


if __name__ == "__main__":
    main(float(sys.argv[1]))
