"""The verb that looks back: the conversation so far, as far as a model has room for it."""

from django.conf import settings

from workflows.ai.messages import ChatMessage
from workflows.exceptions import WorkflowChanged, WorkflowError
from workflows.models import Job, Step
from workflows.running import memory, step_results, steps
from workflows.running.ai_calls import ModelCalls
from workflows.running.memory import PastMessage, Summary
from workflows.running.record import Record
from workflows.running.step_keys import SUMMARISING, within
from workflows.store import events


def recall(record: Record, calls: ModelCalls, tokens: int | None) -> list[ChatMessage]:
    """See Context.history()."""
    # Whether there is a step must not change from one turn of the workflow to the next.
    if not record.origin.options.get("memory", True):
        return []
    room = settings.AI_MEMORY_TOKENS if tokens is None else tokens
    summary, past = record.events.wait_out(lambda: _read(record.job))
    outgrown = memory.select_outgrown(past, room)
    # A summary that an earlier attempt recorded comes again, though by now there is room.
    if outgrown or record.is_recorded(SUMMARISING):
        made = _summarise(record, calls, summary, outgrown)
        # A later turn of the session may have gone further meanwhile.
        summary = max(summary, made, key=lambda each: each.upto)
        past = [each for each in past if each.id > summary.upto]
    return memory.as_messages(summary.text, memory.fit(past, room))


def _read(job: Job) -> tuple[Summary, list[PastMessage]]:
    """Return the session's summary, and the messages after it."""
    session = job.session
    summary = Summary(session.summary, session.summary_upto)
    return summary, memory.window(session, before=job.conversation_id, after=summary.upto)


def _summarise(
    record: Record, calls: ModelCalls, summary: Summary, outgrown: list[PastMessage]
) -> Summary:
    """Make the next summary, once, and store it on the session."""
    entered = record.enter(SUMMARISING, counted=False)
    if isinstance(entered, Step):
        made: Summary = step_results.load(SUMMARISING, _summarise, entered.result)
    else:
        with within(entered.path):
            text = _shorten(calls, summary.text, outgrown)
        made = Summary(events.clean(text), outgrown[-1].id)
        steps.leave(record, entered, _summarise, made)
    # Again after a crash in between; a later summary is left as it is.
    with record.events.writing():
        record.events.wait_out(lambda: memory.keep(record.job, made))
    return made


def _shorten(calls: ModelCalls, summary: str, outgrown: list[PastMessage]) -> str:
    def extract(words: str = "") -> str:
        return memory.extract(summary, outgrown)

    prompt = memory.make_prompt(summary, outgrown)
    try:
        text: str = calls.call(
            prompt, str, {"instructions": memory.INSTRUCTIONS, "offline": extract}
        )
    except WorkflowChanged:
        raise
    except WorkflowError:
        # The conversation goes on; if the model is at fault, its answer will say so.
        return extract()
    return text[: memory.SUMMARY_LENGTH]
