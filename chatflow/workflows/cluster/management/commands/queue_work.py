import shutil
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from chatflow.conf import conf
from chatflow.workflows.cluster.foreground import DONE, Shift, work
from chatflow.workflows.management.console import add_queue_option, queue_names, whole_number


class Command(BaseCommand):
    help = "Run queued jobs in this process, until Ctrl-C (a second one gives the job back)."

    def add_arguments(self, parser: CommandParser) -> None:
        ends = parser.add_mutually_exclusive_group()
        ends.add_argument("--once", action="store_true", help="Run one job, then leave.")
        ends.add_argument("--stop-when-empty", action="store_true", help="Leave when none waits.")
        parser.add_argument("--max-jobs", type=whole_number(1), metavar="N", help="Then leave.")
        add_queue_option(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        if conf.QUEUE_CONNECTION == "sync":
            self.stdout.write("Nothing to work on: QUEUE_CONNECTION is sync, jobs run at once.")
            return
        names = queue_names(options["queue"])
        pieces = 1 if options["once"] else options["max_jobs"]
        patient = not (options["once"] or options["stop_when_empty"])
        shift = Shift(names, pieces=pieces, patient=patient)
        work(shift, self.report)
        if options["once"] and not shift.taken:
            self.stdout.write("No job is waiting.")

    def report(self, words: str, seconds: float, result: str) -> None:
        """Print a line as Laravel does, with dots up to the edge."""
        start = f"{timezone.localtime():%Y-%m-%d %H:%M:%S} {words} "
        end = f" {seconds:.1f}s {result}"
        width = min(120, shutil.get_terminal_size((120, 0)).columns)
        style = self.style.SUCCESS if result == DONE else self.style.WARNING
        dots = "." * max(3, width - len(start) - len(end))
        self.stdout.write(f"{start}{dots}{style(end)}")
        self.stdout.flush()
