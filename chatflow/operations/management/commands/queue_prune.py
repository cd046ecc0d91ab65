from typing import Any

from chatflow.conf import conf
from chatflow.operations import retention
from chatflow.operations.audit import record_at_terminal
from chatflow.workflows.management.commands.queue_prune import Command as Prune


class Command(Prune):
    """The engine's own; then what the settings say of words, and of the log of acts."""

    help = f"{Prune.help} Then take the words that KEEP_TEXTS_DAYS keeps no longer."

    def handle(self, *args: Any, **options: Any) -> None:
        super().handle(*args, **options)
        if conf.KEEP_TEXTS_DAYS:
            jobs, messages, files = retention.redact()
            outcome = f"Took the words of {jobs} jobs and {messages} messages, and {files} files."
            self.stdout.write(outcome)
            if jobs or messages or files:
                record_at_terminal(None, "Retention", outcome=outcome)
        if acts := retention.remove_acts():
            outcome = f"Removed {acts} acts from the log."
            self.stdout.write(outcome)
            record_at_terminal(None, "Retention", outcome=outcome)
