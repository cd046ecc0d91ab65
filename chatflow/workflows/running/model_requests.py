"""The requests that one call makes to a model. Each is a step, recorded when its answer came."""

from collections.abc import Awaitable, Callable
from functools import partial
from time import monotonic
from typing import Any

from chatflow.workflows.ai import budget
from chatflow.workflows.ai.names import OFFLINE
from chatflow.workflows.ai.reasoning import read_reasoning
from chatflow.workflows.ai.usage import Usage, total
from chatflow.workflows.models import Job, Step
from chatflow.workflows.running import output
from chatflow.workflows.running.record import Entered, Record
from chatflow.workflows.running.step_keys import is_aside, is_choice, within
from chatflow.workflows.store import events
from chatflow.workflows.store.outage import despite_conflicts

AI_STEP = "Asking the model"
# Stands between the words of two answers of one call.
APART = "\n\n"


class Requests:
    """The requests of one call, as RecordedModel's journal.

    Args:
        record: the run's.
        spend: counts one more request, or raises BudgetExceeded.
        is_last: says whether it would raise now.
        told: what models are told that can't call tools, by the user's latest words.
        choose: chooses a workflow for a model that can't call tools.
    """

    def __init__(
        self,
        record: Record,
        spend: Callable[[], None],
        *,
        is_last: Callable[[], bool] = lambda: False,
        told: Callable[[str], str] | None = None,
        choose: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._record = record
        self._spend = spend
        self._is_last = is_last
        self._told = self.as_rule(told)
        self._choose = choose
        self._entered: Entered | None = None
        self._reservation: budget.Reservation | None = None
        # An earlier answer, which called tools, has shown words; the present one has.
        self._showed = self._shows = False

    def as_rule(self, rule: Callable[[str], Any] | None) -> Callable[[str], Any] | None:
        """Return *rule* as a part of the request: steps that it takes are inside of this one."""
        if rule is None:
            return None

        def answer(words: str) -> Any:
            assert self._entered is not None, "A rule without a request."
            with within(self._entered.path):
                return rule(words)

        return answer

    def begin(self) -> dict[str, Any] | None:
        """See Journal."""
        position = self._record.position
        self._showed, self._shows = self._showed or self._shows, False
        entered = self._record.enter(AI_STEP, counted=False)
        if isinstance(entered, Step):
            self._shows = self._record.position > position
            return dict(entered.result or {})
        if not is_choice(entered.key[0]):
            self._spend()
        self._entered = entered
        self._reservation = None
        return None

    def is_last(self) -> bool:
        """See Journal."""
        return self._is_last()

    def reserve(self, characters: int) -> None:
        """See Journal."""
        # The reservation for an earlier try stays: its provider may count it.
        reserve = partial(budget.reserve, self._record.job.user_id, characters)
        self._reservation = self._record.events.wait_out(reserve)

    def release(self) -> None:
        """See Journal."""
        despite_conflicts(partial(budget.release, self._reservation))
        self._reservation = None

    def look_up(self, words: str) -> str:
        """See Journal."""
        return self._told(words) if self._told is not None else ""

    async def choose(self) -> None:
        """See Journal."""
        choose, self._choose = self._choose, None
        if choose is not None:
            await choose()

    def record(self, response: dict[str, Any], usage: Usage) -> None:
        """See Journal."""
        assert self._entered is not None, "An answer without a request."

        def settle() -> None:
            job = self._record.job
            job.usage = total(step.usage or {} for step in list_requests(self._record))
            Job.objects.filter(pk=job.pk).update(usage=job.usage)
            # The offline model costs nothing. Where a provider doesn't count, the tokens set aside
            # stand for its own.
            if usage["model"] != OFFLINE and not usage.get("estimated"):
                budget.settle(self._reservation, usage["input_tokens"] + usage["output_tokens"])

        self._record.leave(self._entered, events.clean(response), usage=usage, also=settle)

    def show(self, text: str) -> None:
        """See Journal."""
        if self._showed and not self._shows:
            text = f"{APART}{text}"
        self._shows = True
        output.write(self._record, text)

    def shows_at_once(self) -> bool:
        """See Journal."""
        return output.may_write_at_once(self._record)

    def start_over(self) -> None:
        """See Journal."""
        self._shows = False
        if self._entered is not None:
            self._record.start_over(self._entered)

    def check(self) -> None:
        """See Journal."""
        self._record.attempt.check()

    def seconds_left(self) -> float:
        """See Journal."""
        return self._record.attempt.deadline - monotonic()


def describe_answer(record: Record) -> dict[str, Any]:
    """Return what else is known of the job's answer, as its metadata.

    ``cut_off``: a model had no room for the whole of an answer; ``reasoning``: what it thought.
    """
    responses = [step.result or {} for step in list_requests(record) if not is_aside(step.name)]
    was_cut_off = any(each.get("finish_reason") == "length" for each in responses)
    reasoning = read_reasoning(responses)
    return ({"cut_off": True} if was_cut_off else {}) | (
        {"reasoning": reasoning} if reasoning else {}
    )


def list_requests(record: Record) -> list[Step]:
    """Return the recorded requests of the job; not those of its earlier turns."""
    return [step for step in record.list_steps() if step.usage]
