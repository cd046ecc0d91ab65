"""The verbs that search documents. docs/knowledge.md tells how they make a chat."""

from collections.abc import Iterable
from typing import Any

from chatflow.workflows.knowledge import prompting
from chatflow.workflows.knowledge.search import FOUND, Source, search
from chatflow.workflows.models import Step
from chatflow.workflows.running import step_results, steps
from chatflow.workflows.running.record import Record
from chatflow.workflows.running.step_keys import is_choice
from chatflow.workflows.store import events

SEARCH_STEP = "Searching the documents"
# Sources that an answer names.
NAMED = 5


def find(record: Record, query: str, limit: int = FOUND) -> list[Source]:
    """See Context.search()."""
    # Whether there is a step must not change from one turn of the workflow to the next.
    if not record.origin.options.get("intelligent_rag", True):
        return []
    entered = record.enter(SEARCH_STEP, counted=False)
    if isinstance(entered, Step):
        return _load(entered)
    allowed = record.job.options.get("intelligent_rag", True)
    found = record.events.read(lambda: _search(record, query, limit)) if allowed else []
    record.attempt.check()
    made: list[Source] = steps.leave(record, entered, search, found)
    return made


def _search(record: Record, query: str, limit: int) -> list[Source]:
    job = record.job
    return search(
        events.clean(query),
        user=job.user,
        tenant=job.tenant,
        session_id=job.session_id,
        limit=limit,
    )


def find_as_data(record: Record, query: str) -> str:
    """See Context.search_documents()."""
    return prompting.as_data(find(record, query))


def quote(record: Record, query: str) -> str | None:
    """See Context.answer_from_documents()."""
    return prompting.offline_answer(find(record, query))


def list_sources(record: Record) -> list[dict[str, Any]]:
    """See Context.sources()."""
    searches = [step for step in record.list_steps() if _is_search(step)]
    found = _best_of(source for step in searches for source in _load(step))
    relevant = [each for each in found if each.relevance >= prompting.RELEVANT]
    relevant.sort(key=lambda each: -each.relevance)
    return [each.as_dict() for each in relevant[:NAMED]]


def _is_search(step: Step) -> bool:
    # What was found before the message was handed over is none of this workflow's.
    if is_choice(step.name):
        return False
    return step.name == SEARCH_STEP or step.name.endswith(f"> {SEARCH_STEP}")


def _load(step: Step) -> list[Source]:
    recorded: list[Source] = step_results.load(SEARCH_STEP, search, step.result)
    return recorded


def _best_of(sources: Iterable[Source]) -> list[Source]:
    """Return each source once, as it was found at its most relevant."""
    best: dict[str, Source] = {}
    for source in sources:
        best[source.id] = max(source, best.get(source.id, source), key=lambda each: each.relevance)
    return list(best.values())
