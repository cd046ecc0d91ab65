import json
from typing import Any

from django.core.management.base import CommandParser

from chatflow.workflows.commands import DatabaseCommand
from chatflow.workflows.management.console import table, whole_number
from chatflow.workflows.models import Job
from chatflow.workflows.services import queues

KEYS = ("id", "workflow", "user", "code", "error", "failed_at")


class Command(DatabaseCommand):
    help = "List the jobs that failed or timed out, the latest first."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--limit", type=whole_number(1), default=50, help="At most so many.")
        parser.add_argument("--json", action="store_true", help="Print JSON, with whole errors.")

    def handle(self, *args: Any, **options: Any) -> None:
        limit = options["limit"]
        jobs = list(queues.failures().select_related("user")[: limit + 1])
        if options["json"]:
            failures = [dict(zip(KEYS, row(job), strict=True)) for job in jobs[:limit]]
            self.stdout.write(json.dumps(failures, indent=2))
        elif jobs:
            self.stdout.write(table(KEYS, [row(job) for job in jobs[:limit]]))
        else:
            self.stdout.write("No job has failed.")
        if len(jobs) > limit and not options["json"]:
            self.stdout.write(f"There are more; --limit {2 * limit} shows them.")


def row(job: Job) -> tuple[str, ...]:
    at = f"{job.finished_at:%Y-%m-%dT%H:%M:%SZ}"
    return (job.public_id, job.workflow, job.user.get_username(), job.code, queues.reason(job), at)
