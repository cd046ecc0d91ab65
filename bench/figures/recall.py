"""Recall@5: how often a search finds the answer to a question about the project's documentation.

The questions are labelled by hand, in bench/questions.py. A question counts as answered if a chunk
of a section that answers it is among the first five.
"""

import json
import sys
from pathlib import Path
from uuid import UUID

from bench.processes import ROOT
from bench.questions import FOREIGN, QUESTIONS, UNSEEN
from bench.site import Site, python
from bench.stage import Stage
from bench.table import Line, line

FOUND = 5
BAR = 0.9


def measure(stage: Stage) -> list[Line]:
    lines = []
    for name, site in (("PostgreSQL", stage.on_postgres), ("SQLite", stage.on_sqlite)):
        found = count_found(site)
        total = len(QUESTIONS) + len(UNSEEN)
        recall = (found["seen"] + found["unseen"]) / total
        lines += [
            line(f"recall@{FOUND} of {total} questions, {name}", recall, "", bar=f"≥ {BAR}",
                 held=recall >= BAR),
            line(f"– {len(UNSEEN)} unseen ones alone, {name}", found["unseen"] / len(UNSEEN), ""),
            line(f"foreign questions of {len(FOREIGN)} answered offline, {name}",
                 found["foreign"], "", bar="0", held=not found["foreign"]),
        ]  # fmt: skip
    return lines


def count_found(site: Site) -> dict[str, int]:
    """Return how many questions find an answer, and how many foreign ones get one."""
    found: dict[str, int] = json.loads(
        python("-m", "bench.figures.recall", environment=site.environment)
    )
    return found


def main() -> None:
    """Store the documentation in the configured database, and search it for every question."""
    import django

    django.setup()
    from django.contrib.auth.models import User
    from django.core.management import call_command

    from chatflow.management.commands.seed_demo import list_documentation
    from chatflow.workflows.knowledge.prompting import relevant
    from chatflow.workflows.knowledge.search import search

    call_command("ingest", *list_documentation(ROOT), stdout=sys.stderr)
    user, _ = User.objects.get_or_create(username="reader")

    def count(questions: dict[str, set[str]]) -> int:
        return sum(
            bool({section(each.id) for each in search(question, user=user, limit=FOUND)} & labels)
            for question, labels in questions.items()
        )

    foreign = sum(bool(relevant(search(question, user=user))) for question in FOREIGN)
    print(json.dumps({"seen": count(QUESTIONS), "unseen": count(UNSEEN), "foreign": foreign}))


def section(source: str) -> str:
    """Return the place of a source, as in the labels: its page and its own heading."""
    from chatflow.workflows.knowledge.models import Chunk

    document, _, position = source.rpartition("-")
    chunks = Chunk.objects.select_related("document")
    chunk = chunks.get(document=UUID(document), position=int(position))
    own = chunk.heading.rpartition(" > ")[2] or chunk.title
    return f"{Path(chunk.document.path).name}#{own}"


if __name__ == "__main__":
    main()
