import json
from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandError, CommandParser

from chatflow.workflows.commands import DatabaseCommand
from chatflow.workflows.management.console import table, whole_number
from chatflow.workflows.services import queues
from chatflow.workflows.store import lifecycle

HEADERS = ("queue", "waiting", "delayed", "running", "oldest (s)")


class Command(DatabaseCommand):
    help = "Show how full each queue is, and which clusters are alive."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--max",
            type=whole_number(0),
            metavar="N",
            help="Exit with status 1 if more than N jobs wait in a queue.",
        )
        parser.add_argument(
            "--here",
            action="store_true",
            help="Exit with status 1 unless a cluster of this host, or container, is alive.",
        )
        parser.add_argument("--json", action="store_true", help="Print JSON.")

    def handle(self, *args: Any, **options: Any) -> None:
        sizes = [asdict(size) for size in queues.sizes()]
        clusters = list(lifecycle.clusters().values("host", "pid", "workers"))
        if options["json"]:
            self.stdout.write(json.dumps({"queues": sizes, "clusters": clusters}, indent=2))
        else:
            self.stdout.write(table(HEADERS, [tuple(size.values()) for size in sizes]))
            workers = sum(cluster["workers"] for cluster in clusters)
            self.stdout.write(f"\nClusters alive: {len(clusters)}; workers: {workers}.")
        if options["here"] and all(cluster["host"] != lifecycle.HOST for cluster in clusters):
            raise CommandError(f"No cluster of {lifecycle.HOST} is alive.")
        most = options["max"]
        if most is not None:
            full = [size["queue"] for size in sizes if size["waiting"] > most]
            if full:
                raise CommandError(f"More than {most} jobs wait in: {', '.join(full)}.")
