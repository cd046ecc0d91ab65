"""The verb that looks back: what was said before, as far as a model has room for it."""

from asgiref.sync import sync_to_async
from django.conf import settings

from workflows.ai.messages import ChatMessage
from workflows.exceptions import WorkflowChanged, WorkflowError
from workflows.models import Step
from workflows.running import memory, step_results
from workflows.running.ai_calls import Thinking
from workflows.running.memory import Said, Summary
from workflows.running.record import inside
from workflows.store import events

SUMMARISING = "Summarising the conversation"


class Remembering(Thinking):
    """The verb that looks back."""

    def history(self, *, tokens: int | None = None) -> list[ChatMessage]:
        """Return what was said in the session before the message that started the workflow.

        It is the same in every run and turn of the workflow, and goes into ctx.ai() in front of the
        present message. When a conversation has outgrown the room, its older part is summarised,
        once for many turns: by the model, which counts as a request to it, or offline as an
        extract.

        Args:
            tokens: the room for the messages, as memory.tokens() counts them; by default
                ``AI_MEMORY_TOKENS``. The summary comes on top.

        Returns:
            ``{"role", "content"}`` mappings, the oldest first; none where the workflow was started
            under ``memory: false``.
        """
        # Whether there is a step must not change from one turn of the workflow to the next.
        if not (self.job.root or self.job).options.get("memory", True):
            return []
        room = settings.AI_MEMORY_TOKENS if tokens is None else tokens
        summary = Summary(self.session.summary, self.session.summary_upto)
        said = memory.window(self.session, before=self.job.conversation_id, after=summary.upto)
        outgrown = memory.outgrown(said, room)
        # What an earlier attempt recorded comes again, though by now there is room.
        if outgrown or self._is_recorded(SUMMARISING):
            made = self._summarised(summary, outgrown)
            # A later turn of the session may have gone further meanwhile.
            summary = max(summary, made, key=lambda one: one.upto)
            said = [one for one in said if one.id > summary.upto]
        return memory.as_messages(summary.text, memory.fitting(said, room))

    async def ahistory(self, *, tokens: int | None = None) -> list[ChatMessage]:
        """See history()."""
        return await sync_to_async(self.history)(tokens=tokens)

    def _summarised(self, summary: Summary, outgrown: list[Said]) -> Summary:
        """Make the next summary, once, and store it on the session."""
        entered = self._enter(SUMMARISING, counted=False)
        if isinstance(entered, Step):
            made: Summary = step_results.load(SUMMARISING, self._summarised, entered.result)
        else:
            path = inside.set(entered.path)
            try:
                text = self._shortened(summary.text, outgrown)
            finally:
                inside.reset(path)
            made = Summary(events.clean(text), outgrown[-1].id)
            with self._writing():
                self._leave(entered, self._summarised, made)
        # Again after a crash in between: who has gone further already isn't taken back.
        with self._writing():
            memory.keep(self.job, made)
        return made

    def _shortened(self, summary: str, outgrown: list[Said]) -> str:
        def extract(words: str = "") -> str:
            return memory.extract(summary, outgrown)

        try:
            text = self.ai(
                memory.to_summarise(summary, outgrown),
                instructions=memory.INSTRUCTIONS,
                offline=extract,
            )
        except WorkflowChanged:
            raise
        except WorkflowError:
            # The conversation goes on; if the model is at fault, its answer will say so.
            return extract()
        return text[: memory.SUMMARY_LENGTH]
