import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from chatflow.doctor.findings import Finding, Level, Visit
from chatflow.doctor.rounds import examine

MARKS = {Level.OK: "ok", Level.NOTE: "NOTE", Level.PROBLEM: "PROBLEM", Level.UNKNOWN: "-"}


class Command(BaseCommand):
    help = "Say what is wrong with this installation, why it matters, and what to write."
    # They are among what it looks at.
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--url",
            default="",
            help="The site's public address, such as https://chat.example.com: streams through the"
            " proxies in front of it.",
        )
        parser.add_argument("--json", action="store_true", help="For programs.")

    def handle(self, *args: Any, url: str, **options: Any) -> None:
        if url and not url.startswith(("http://", "https://")):
            raise CommandError("--url must begin with https:// or http://.")
        found = []
        for name, finding in examine(Visit(url)):
            found.append((name, finding))
            if not options["json"]:
                self._say(name, finding)
        if options["json"]:
            listed = [{"check": name, **finding.as_json()} for name, finding in found]
            self.stdout.write(json.dumps(listed, indent=2))
        problems = sum(finding.level == Level.PROBLEM for _, finding in found)
        if problems:
            raise CommandError(f"{problems} problem{'s' if problems > 1 else ''}.")

    def _say(self, name: str, finding: Finding) -> None:
        styles: dict[Level, Any] = {Level.PROBLEM: self.style.ERROR, Level.NOTE: self.style.WARNING}
        style = styles.get(finding.level)
        line = f"{MARKS[finding.level]:8}{name}: {finding.what}"
        self.stdout.write(style(line) if style else line)
        if finding.why:
            self.stdout.write(f"        Why: {finding.why}")
        if finding.mend:
            self.stdout.write(f"        Do:  {finding.mend}")
