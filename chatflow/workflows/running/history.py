"""The verb that looks back: the conversation so far, as far as a model has room for it."""

from functools import partial

from chatflow.conf import conf
from chatflow.workflows.ai.asides import Aside
from chatflow.workflows.ai.messages import ChatMessage
from chatflow.workflows.exceptions import WorkflowChanged, WorkflowError
from chatflow.workflows.models import Job, Step
from chatflow.workflows.running import memory, step_results, steps
from chatflow.workflows.running.ai_calls import ModelCalls
from chatflow.workflows.running.memory import PastMessage, Summary
from chatflow.workflows.running.record import Record
from chatflow.workflows.running.step_keys import SUMMARISING, within
from chatflow.workflows.store import events


async def recall(
    record: Record, calls: ModelCalls, tokens: int | None, aside: Aside
) -> list[ChatMessage]:
    """See Context.history()."""
    # Whether there is a step must not change from one turn of the workflow to the next.
    if not record.origin.options.get("memory", True):
        return []
    room = conf.AI_MEMORY_TOKENS if tokens is None else tokens
    summary, past = await aside(partial(_look_back, record))
    outgrown = memory.select_outgrown(past, room)
    # A summary that an earlier attempt recorded comes again, though by now there is room.
    if outgrown or record.is_recorded(SUMMARISING):
        made = await _summarise(record, calls, summary, outgrown, aside)
        # A later turn of the session may have gone further meanwhile.
        summary = max(summary, made, key=lambda each: each.upto)
        past = [each for each in past if each.id > summary.upto]
    return memory.as_messages(summary.text, memory.fit(past, room))


def _look_back(record: Record) -> tuple[Summary, list[PastMessage]]:
    return record.events.read(lambda: _read(record.job))


def _read(job: Job) -> tuple[Summary, list[PastMessage]]:
    """Return the session's summary, and the messages after it."""
    session = job.session
    summary = Summary(session.summary, session.summary_upto)
    return summary, memory.window(session, before=job.conversation_id, after=summary.upto)


async def _summarise(
    record: Record, calls: ModelCalls, summary: Summary, outgrown: list[PastMessage], aside: Aside
) -> Summary:
    """Make the next summary, once, and store it on the session."""
    entered = await aside(partial(record.enter, SUMMARISING, counted=False))
    if isinstance(entered, Step):
        made: Summary = step_results.load(SUMMARISING, _make_summary, entered.result)
    else:
        with within(entered.path):
            text = await _shorten(calls, summary.text, outgrown, aside)
        made = _make_summary(text, outgrown)
        await aside(partial(steps.leave, record, entered, _make_summary, made))
    # Again after a crash in between; a later summary is left as it is.
    await aside(partial(_keep, record, made))
    return made


def _make_summary(text: str, outgrown: list[PastMessage]) -> Summary:
    return Summary(events.clean(text), outgrown[-1].id)


def _keep(record: Record, made: Summary) -> None:
    with record.events.writing():
        record.events.wait_out(lambda: memory.keep(record.job, made))


async def _shorten(
    calls: ModelCalls, summary: str, outgrown: list[PastMessage], aside: Aside
) -> str:
    def extract(words: str = "") -> str:
        return memory.extract(summary, outgrown)

    prompt = memory.make_prompt(summary, outgrown)
    try:
        text: str = await calls.talk(
            prompt, str, {"instructions": memory.INSTRUCTIONS, "offline": extract}, aside
        )
    except WorkflowChanged:
        raise
    except WorkflowError:
        # The conversation goes on; if the model is at fault, its answer will say so.
        return extract()
    return text[: memory.SUMMARY_LENGTH]
