from typing import Any

from django.contrib.auth.checks import check_middleware
from django.core.checks import Tags, register
from django.core.checks.registry import registry
from django.core.management.base import BaseCommand, CommandError, CommandParser

from chatflow.workflows.checks import HTTP
from chatflow.workflows.cluster.standby import stand_by
from chatflow.workflows.cluster.supervisor import Supervisor
from chatflow.workflows.management.console import add_queue_option, describe_unserved, queue_names

# The tag of a cluster's checks; and those of the checks that it leaves to the web server, whose
# pages they are about, or leaves out: the database may be away, and the cluster waits for it; and
# Django imports its own commands to look at them.
CLUSTER = "chatflow_cluster"
OTHERS = {
    HTTP,
    Tags.admin,
    Tags.commands,
    Tags.database,
    Tags.staticfiles,
    Tags.templates,
    Tags.urls,
}

# Django's own among those, which have no tag.
UNTAGGED: tuple[Any, ...] = (check_middleware,)


class Command(BaseCommand):
    help = "Starts a cluster of workers, which run the queued jobs."

    def add_arguments(self, parser: CommandParser) -> None:
        add_queue_option(parser)
        parser.add_argument(
            "--grace",
            type=float,
            default=30,
            help="Seconds that running jobs get when the cluster is told to stop.",
        )
        parser.add_argument("--workers", type=int, help="How many. Default: QUEUE_WORKERS.")
        parser.add_argument(
            "--standby",
            action="store_true",
            help="Wait for the word to begin, on the socket that is standard input.",
        )

    def check(self, *args: Any, **kwargs: Any) -> None:
        """Check all but what is about HTTP: half of a start would go into importing that."""
        for each in registry.get_checks():
            if each not in UNTAGGED and OTHERS.isdisjoint(each.tags):
                register(each, *each.tags, CLUSTER)
        super().check(*args, **kwargs | {"tags": [CLUSTER]})

    def handle(self, *args: Any, **options: Any) -> None:
        if options["workers"] is not None and options["workers"] < 1:
            raise CommandError("--workers must be at least 1.")
        queues = queue_names(options["queue"])
        unserved = describe_unserved(queues)
        if unserved:
            self.stderr.write(self.style.WARNING(unserved))
        if options["standby"]:
            stand_by()
        Supervisor(queues=queues, grace=options["grace"], workers=options["workers"]).run()
