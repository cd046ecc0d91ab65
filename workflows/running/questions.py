"""The questions of a workflow. Each ends the turn; the user's next message is the answer."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn, TypeVar

from asgiref.sync import sync_to_async
from django.db import transaction
from pydantic import BaseModel, ValidationError

from workflows.dialogue import answers, forms
from workflows.exceptions import StepResultError, TurnEnded, WorkflowChanged
from workflows.models import Step
from workflows.running.record import Key, Recording
from workflows.store import events, lifecycle

M = TypeVar("M", bound=BaseModel)


class Unclear(Exception):
    """The user's words are no answer.

    Args:
        hint: what to say before the question is asked again.
    """


@dataclass
class Question:
    """What the user is asked.

    Args:
        prompt: the question.
        kind: what kind of answer it wants.
        parse: takes the user's words; returns the answer as JSON, or raises Unclear.
        awaiting: what else a client has to know to ask it.
    """

    prompt: str
    kind: str
    parse: Callable[[str], Any]
    awaiting: dict[str, Any] = field(default_factory=dict)

    def read(self, step: Step, text: str) -> Any:
        """Return the answer as JSON, or raise Unclear."""
        return self.parse(text)

    def ask(self, step: Step) -> None:
        """Record that it is asked, or asked again, in the transaction that *step* is saved in."""

    def answer(self, step: Step, value: Any) -> None:
        """Record that it is answered, likewise."""


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

        def read(text: str) -> str | None:
            return None if optional and answers.is_skip(text) else text

        answer: str | None = self._question(Question(prompt, "text", read, {"optional": optional}))
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

        def read(text: str) -> Any:
            choice = answers.chosen(text, options)
            if choice is None:
                raise Unclear("Please choose one of the answers.")
            return choice["value"]

        return self._question(Question(prompt, "choice", read, {"choices": options}))

    def confirm(self, prompt: str, *, or_text: bool = False) -> bool | str:
        """Ask the user for a yes or a no.

        Args:
            prompt: the question.
            or_text: return an answer that is neither, instead of asking again.

        Returns:
            True, False, or with *or_text* the user's words.
        """

        def read(text: str) -> bool | str:
            answer = answers.yes_or_no(text)
            if answer is not None:
                return answer
            if or_text:
                return text
            raise Unclear("Please answer yes or no.")

        answer: bool | str = self._question(Question(prompt, "confirm", read))
        return answer

    def form(self, prompt: str, model: type[M]) -> M:
        """Ask the user to fill in a form.

        Args:
            prompt: the question.
            model: a pydantic model; its fields are the form's. The answer is a JSON object, or
                plain words where there is one field only.

        Returns:
            What the user filled in.
        """
        schema = forms.schema_of(model)

        def read(text: str) -> Any:
            try:
                return model.model_validate(_as_object(text, schema)).model_dump(mode="json")
            except ValidationError as error:
                raise Unclear(complaint(error)) from None

        answer = self._question(Question(prompt, "form", read, {"schema": schema}))
        return fill(model, answer, prompt)

    async def aask(self, prompt: str, *, optional: bool = False) -> str | None:
        """See ask()."""
        return await sync_to_async(self.ask)(prompt, optional=optional)

    async def achoose(self, prompt: str, choices: Sequence[Any]) -> Any:
        """See choose()."""
        return await sync_to_async(self.choose)(prompt, choices)

    async def aconfirm(self, prompt: str, *, or_text: bool = False) -> bool | str:
        """See confirm()."""
        return await sync_to_async(self.confirm)(prompt, or_text=or_text)

    async def aform(self, prompt: str, model: type[M]) -> M:
        """See form()."""
        return await sync_to_async(self.form)(prompt, model)

    def _question(self, question: Question) -> Any:
        self._attempt.check()
        key = self._next_key(f"ask: {question.prompt}")
        step = self._steps.get(key)
        if step is not None and step.finished:
            self._pass_by(key)
            return step.result
        prompt = question.prompt
        if step is not None and self._answer is not None:
            try:
                value = question.read(step, self._answer)
            except Unclear as unclear:
                prompt = f"{unclear} {prompt}".strip()
            else:
                self._answer = None
                return self._close_question(step, question, value)
        elif step is None and self._replays:
            # The answer belongs to a question that the present code doesn't ask here.
            raise WorkflowChanged
        self._ask(key, question)
        about = {"kind": question.kind, "prompt": question.prompt, "optional": False}
        raise TurnEnded(prompt, about | question.awaiting)

    def _ask(self, key: Key, question: Question) -> None:
        with self._writing(), transaction.atomic():
            lifecycle.hold(self.job)
            step, _ = Step.objects.get_or_create(
                root_id=self.job.conversation_id,
                name=key[0],
                occurrence=key[1],
                defaults={
                    "job": self.job,
                    "question": True,
                    "finished": False,
                    "text_length": max(0, self._position + self.job.text_base),
                    "attempt": self.job.attempt,
                },
            )
            question.ask(step)

    def _close_question(self, step: Step, question: Question, value: Any) -> Any:
        with self._writing(), transaction.atomic():
            lifecycle.hold(self.job)
            question.answer(step, value)
            step.result, step.finished = events.clean(value), True
            step.job, step.attempt = self.job, self.job.attempt
            step.save()
        return value


def fill(model: type[M], answer: Any, prompt: str) -> M:
    """Return what a recorded answer to a form says.

    Raises:
        StepResultError: it doesn't fit the present model any more.
    """
    try:
        return model.model_validate_json(json.dumps(answer))
    except ValidationError as error:
        raise StepResultError(
            f"The answer to {prompt!r} is no {model.__name__} any more."
        ) from error


def _as_object(text: str, schema: dict[str, Any]) -> Any:
    value = as_json(text)
    fields = list(schema["properties"])
    if not isinstance(value, dict) and len(fields) == 1:
        return {fields[0]: text}
    return value


def as_json(text: str) -> Any:
    """Return the JSON value that *text* is; None if it is none, or no form's."""

    def refuse(constant: str) -> NoReturn:
        raise ValueError(f"{constant} is not JSON")

    try:
        value = json.loads(text, parse_constant=refuse)
        # A number may be as large as it is long, but not infinite.
        json.dumps(value, allow_nan=False)
    except (ValueError, RecursionError):
        return None
    return None if forms.is_excessive(value) else value


def complaint(error: ValidationError) -> str:
    wrong = [f"{'.'.join(map(str, e['loc'])) or 'form'}: {e['msg']}" for e in error.errors()]
    return f"Please mend the form ({'; '.join(wrong)})."
