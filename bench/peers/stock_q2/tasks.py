"""``python -m bench.peers.stock_q2.tasks 1000`` enqueues tasks and prints when it began."""

import logging
import sys
import time

import django


def noop() -> None:
    return None


def main(count: int) -> None:
    django.setup()
    # One line for each task, by default.
    logging.disable()
    from django_q.tasks import async_task

    print(time.monotonic())
    for _ in range(count):
        async_task("bench.peers.stock_q2.tasks.noop")


if __name__ == "__main__":
    main(int(sys.argv[1]))
