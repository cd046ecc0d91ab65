"""Appends events to many running jobs at a steady rate: ``python -m bench.appender 500 20 1000``.

Prints the paths of the jobs' streams, waits for a line to read, then appends so many events to each
job, so many a second in all. The message of each event is the moment just before its commit. At the
end it prints how many a second it appended.
"""

import json
import sys
import time
import uuid
from datetime import timedelta

import django

django.setup()

from django.contrib.auth.models import User  # noqa: E402
from django.utils import timezone  # noqa: E402

from chatflow.auth import sign_link  # noqa: E402
from chatflow.workflows.models import Event, Job, Session, State  # noqa: E402
from chatflow.workflows.store import lifecycle  # noqa: E402
from chatflow.workflows.store.events import append  # noqa: E402
from chatflow.workflows.store.lifecycle import Outcome  # noqa: E402


def running_jobs(count: int) -> list[Job]:
    """Make jobs that a worker holds, as far as the database knows."""
    user = User.objects.get(username="bench")
    sessions = Session.objects.bulk_create(
        Session(user=user, key=f"busy-{uuid.uuid4().hex}") for _ in range(count)
    )
    now = timezone.now()
    return Job.objects.bulk_create(
        Job(
            user=user,
            session=session,
            workflow="bench_noop",
            text="",
            mode="async",
            state=State.PROCESSING,
            attempt=1,
            claimed_at=now,
            started_at=now,
            lease_until=now + timedelta(hours=1),
        )
        for session in sessions
    )


def append_all(jobs: list[Job], each: int, per_second: float) -> float:
    began = time.monotonic()
    total = len(jobs) * each
    for number in range(total):
        ahead = began + number / per_second - time.monotonic()
        if ahead > 0:
            time.sleep(ahead)
        job = jobs[number % len(jobs)]
        append(job.pk, 1, Event.Type.PROGRESS, progress=1, message=str(time.monotonic_ns()))
    return total / (time.monotonic() - began)


def main(count: str, each: str, per_second: str) -> None:
    jobs = running_jobs(int(count))
    links = [f"/ai-demo/workflow/stream/{job.public_id}?token={sign_link(job)}" for job in jobs]
    print(json.dumps(links), flush=True)
    sys.stdin.readline()
    print(append_all(jobs, int(each), float(per_second)), flush=True)
    for job in jobs:
        job.refresh_from_db()
        lifecycle.end(job, Outcome(State.COMPLETED, response="Done."))


if __name__ == "__main__":
    main(*sys.argv[1:])
