"""The verbs that look into documents. How they make a chat is said in docs/knowledge.md."""

from collections.abc import Sequence
from typing import Any

from asgiref.sync import sync_to_async

from workflows.knowledge import prompting
from workflows.knowledge.search import Source, search
from workflows.models import Step
from workflows.running import step_results
from workflows.running.record import Recording
from workflows.store import events

SEARCH_STEP = "Searching the documents"
# Sources that an answer names.
NAMED = 5


class Searching(Recording):
    """The verbs that look into documents."""

    def search(self, query: str, limit: int = 5) -> list[Source]:
        """Search the documents that the user may see: their own and everybody's.

        A search is a step: it is recorded, and comes again as it was.

        Args:
            query: a question or some words.
            limit: how many sources.

        Returns:
            The sources, the best first; none under ``intelligent_rag: false``.
        """
        # Whether there is a step must not change from one turn of the workflow to the next.
        if not (self.job.root or self.job).options.get("intelligent_rag", True):
            return []
        entered = self._enter(SEARCH_STEP, counted=False)
        if isinstance(entered, Step):
            recorded: list[Source] = step_results.load(SEARCH_STEP, search, entered.result)
            return recorded
        allowed = self.options.get("intelligent_rag", True)
        found = search(events.clean(query), user=self.user, limit=limit) if allowed else []
        self._attempt.check()
        with self._writing():
            made: list[Source] = self._leave(entered, search, found)
        return made

    async def asearch(self, query: str, limit: int = 5) -> list[Source]:
        """See search()."""
        return await sync_to_async(self.search)(query, limit)

    def search_documents(self, query: str) -> str:
        """Search the user's documents, when the answer may stand there.

        Use it for questions about a product, a project or a matter of the user's own, before you
        say that you do not know. Search with the few words that matter; search again with other
        words where nothing fits.

        Args:
            query: what to look for.
        """
        # For ctx.ai(tools=[ctx.search_documents]): the words above are what the model is told.
        return prompting.as_data(self.search(query))

    def answer_from_documents(self, query: str) -> str | None:
        """Search, and quote what fits, where there is no model to put it into words.

        The answer says that it is offline, and that it is a quotation. The sources that go with it
        are ``ctx.sources()``.

        Returns:
            The answer; None where no document is relevant enough to be one.
        """
        return prompting.offline_answer(self.search(query))

    def sources(self) -> list[dict[str, Any]]:
        """Return what this job's searches found, for ``ctx.reply(sources=…)``: the best first.

        Each part of a document stands there once, and only if it is relevant; searches that tools
        made, and those of an earlier attempt, count too.
        """
        found: dict[str, Source] = {}
        for step in self._steps.values():
            if step.job_id == self.job.pk and step.finished and _is_search(step):
                recorded: Sequence[Source] = step_results.load(SEARCH_STEP, search, step.result)
                for source in recorded:
                    found[source.id] = max(
                        source, found.get(source.id, source), key=lambda each: each.relevance
                    )
        relevant = [each for each in found.values() if each.relevance >= prompting.RELEVANT]
        relevant.sort(key=lambda each: -each.relevance)
        return [each.as_dict() for each in relevant[:NAMED]]


def _is_search(step: Step) -> bool:
    return step.name == SEARCH_STEP or step.name.endswith(f"> {SEARCH_STEP}")
