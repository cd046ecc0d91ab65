"""The verb that asks a model."""

from asgiref.sync import sync_to_async

from workflows.ai import get_model
from workflows.exceptions import BudgetExceeded
from workflows.models import Step
from workflows.recording import Recording

AI_STEP = "Asking the model"


class Thinking(Recording):
    """The verb that asks a model."""

    def ai(self, prompt: str) -> str:
        """Ask the model that ``AI_MODEL`` names.

        A call is a step: it is recorded when it returns, and never made twice. It counts against
        the workflow's ``max_ai_calls``.

        Args:
            prompt: what to ask.

        Returns:
            The model's answer.

        Raises:
            BudgetExceeded: the job has made all the calls that it may.
        """
        entered = self._enter(AI_STEP, counted=False)
        if isinstance(entered, Step):
            return str(entered.result)
        made = [s for s in self._steps.values() if s.job_id == self.job.pk and _is_ai(s)]
        if len(made) >= self._workflow.max_ai_calls:
            raise BudgetExceeded
        model = get_model()
        answer = model.answer(prompt)
        self._attempt.check()
        with self._writing():
            return str(self._leave(entered, model.answer, answer))

    async def aai(self, prompt: str) -> str:
        """See ai()."""
        return await sync_to_async(self.ai)(prompt)


def _is_ai(step: Step) -> bool:
    return step.name == AI_STEP or step.name.endswith(f"> {AI_STEP}")
