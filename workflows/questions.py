"""The questions of a workflow. Each ends the turn; the user's next message is the answer."""

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from asgiref.sync import sync_to_async
from django.db import transaction

from workflows import answers, events, lifecycle
from workflows.exceptions import TurnEnded, WorkflowChanged
from workflows.models import Step
from workflows.recording import Key, Recording


class Questions(Recording):
    """The verbs that ask the user."""

    def ask(self, prompt: str, *, optional: bool = False) -> str | None:
        """Ask the user for a text.

        Args:
            prompt: the question.
            optional: the user may decline, with "skip" for example.

        Returns:
            The user's words; None if they declined.
        """

        def read(text: str) -> tuple[str | None]:
            return (None if optional and answers.is_skip(text) else text,)

        answer: str | None = self._question(prompt, {"kind": "text", "optional": optional}, read)
        return answer

    def choose(self, prompt: str, choices: Sequence[Any]) -> Any:
        """Ask the user to choose.

        Args:
            prompt: the question.
            choices: at least one value, ``(value, label)`` pair or ``{"value", "label"}`` mapping;
                values are JSON.

        Returns:
            The value of the choice. The user may give its number, its value or its label.
        """
        options = answers.as_choices(choices)

        def read(text: str) -> tuple[Any] | None:
            choice = answers.chosen(text, options)
            return None if choice is None else (choice["value"],)

        awaiting = {"kind": "choice", "choices": options, "optional": False}
        return self._question(prompt, awaiting, read, "Please choose one of the answers.")

    def confirm(self, prompt: str, *, or_text: bool = False) -> bool | str:
        """Ask the user for a yes or a no.

        Args:
            prompt: the question.
            or_text: return an answer that is neither, instead of asking again.

        Returns:
            True, False, or with *or_text* the user's words.
        """

        def read(text: str) -> tuple[bool | str] | None:
            answer = answers.yes_or_no(text)
            if answer is None:
                return (text,) if or_text else None
            return (answer,)

        awaiting = {"kind": "confirm", "optional": False}
        answer: bool | str = self._question(prompt, awaiting, read, "Please answer yes or no.")
        return answer

    async def aask(self, prompt: str, *, optional: bool = False) -> str | None:
        """See ask()."""
        return await sync_to_async(self.ask)(prompt, optional=optional)

    async def achoose(self, prompt: str, choices: Sequence[Any]) -> Any:
        """See choose()."""
        return await sync_to_async(self.choose)(prompt, choices)

    async def aconfirm(self, prompt: str, *, or_text: bool = False) -> bool | str:
        """See confirm()."""
        return await sync_to_async(self.confirm)(prompt, or_text=or_text)

    def _question(
        self,
        prompt: str,
        awaiting: dict[str, Any],
        read: Callable[[str], tuple[Any] | None],
        hint: str = "",
    ) -> Any:
        self._attempt.check()
        key = self._next_key(f"ask: {prompt}")
        recorded = self._steps.get(key)
        if recorded is not None and recorded.finished:
            self._pass_by(key)
            return recorded.result
        awaiting = {"kind": awaiting["kind"], "prompt": prompt} | awaiting
        if recorded is None:
            if self._replays:
                # The answer belongs to a question that the present code doesn't ask here.
                raise WorkflowChanged
            self._open_question(key, prompt, awaiting)
        if self._answer is None:
            raise TurnEnded(prompt, awaiting)
        value = read(self._answer)
        if value is None:
            raise TurnEnded(f"{hint} {prompt}".strip(), awaiting)
        self._answer = None
        self._close_question(key, value[0])
        return value[0]

    def _open_question(self, key: Key, prompt: str, awaiting: dict[str, Any]) -> NoReturn:
        with self._writing(), transaction.atomic():
            lifecycle.hold(self.job)
            Step.objects.create(
                root_id=self.job.conversation_id,
                job=self.job,
                name=key[0],
                occurrence=key[1],
                question=True,
                finished=False,
                text_length=max(0, self._position + self.job.text_base),
                attempt=self.job.attempt,
            )
        raise TurnEnded(prompt, awaiting)

    def _close_question(self, key: Key, value: Any) -> None:
        with self._writing(), transaction.atomic():
            lifecycle.hold(self.job)
            step = self._steps[key]
            step.result, step.finished = events.clean(value), True
            step.job, step.attempt = self.job, self.job.attempt
            step.save()
