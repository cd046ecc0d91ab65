"""The verbs that ask the user. Each ends the turn; the user's next message is the answer."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NoReturn, TypeVar

from pydantic import BaseModel, ValidationError

from chatflow.workflows.dialogue import answers, forms
from chatflow.workflows.dialogue.form_values import is_excessive
from chatflow.workflows.exceptions import StepResultError, TurnEnded, WorkflowChanged
from chatflow.workflows.models import Step
from chatflow.workflows.running.record import Record

M = TypeVar("M", bound=BaseModel)


class Unclear(Exception):
    """The user's words are no answer.

    Args:
        hint: a sentence that stands before the question when it is asked again.
    """


@dataclass
class Question:
    """A question to the user.

    Args:
        prompt: the question.
        kind: what kind of answer it wants.
        parse: takes the user's words; returns the answer as JSON, or raises Unclear.
        awaiting: the rest that a client has to know to show it.
        name: what it is called in the record; by default the prompt.
    """

    prompt: str
    kind: str
    parse: Callable[[str], Any]
    awaiting: dict[str, Any] = field(default_factory=dict)
    name: str = ""

    def read(self, step: Step, text: str) -> Any:
        """Return the answer as JSON, or raise Unclear."""
        return self.parse(text)

    def ask(self, step: Step) -> None:
        """Record that it is asked, or asked again, in the transaction that *step* is saved in."""

    def answer(self, step: Step, value: Any) -> None:
        """Record that it is answered, likewise."""


def ask(record: Record, prompt: str, *, optional: bool, anything: bool) -> str | None:
    """See Context.ask()."""

    def read(text: str) -> str | None:
        return None if optional and answers.is_skip(text) else text

    about = {"optional": optional} | ({"anything": True} if anything else {})
    question = Question(prompt, "text", read, about)
    answer: str | None = put(record, question)
    return answer


def choose(record: Record, prompt: str, choices: Sequence[Any]) -> Any:
    """See Context.choose()."""
    options = answers.as_choices(choices)

    def read(text: str) -> Any:
        choice = answers.chosen(text, options)
        if choice is None:
            raise Unclear("Please choose one of the answers.")
        return choice["value"]

    return put(record, Question(prompt, "choice", read, {"choices": options}))


def confirm(record: Record, prompt: str, *, or_text: bool) -> bool | str:
    """See Context.confirm()."""

    def read(text: str) -> bool | str:
        answer = answers.yes_or_no(text)
        if answer is not None:
            return answer
        if or_text:
            return text
        raise Unclear("Please answer yes or no.")

    answer: bool | str = put(record, Question(prompt, "confirm", read))
    return answer


def fill_in(record: Record, prompt: str, model: type[M]) -> M:
    """See Context.form()."""
    schema = forms.schema_of(model)

    def read(text: str) -> Any:
        try:
            return model.model_validate(_as_object(text, schema)).model_dump(mode="json")
        except ValidationError as error:
            raise Unclear(complain(error)) from None

    answer = put(record, Question(prompt, "form", read, {"schema": schema}))
    return load(model, answer, prompt)


def put(record: Record, question: Question) -> Any:
    """Return the answer to *question* where there is one, else end the turn with it.

    Returns:
        The answer, as JSON.

    Raises:
        TurnEnded: the question is open now.
        WorkflowChanged: another question was asked here, or a step taken.
    """
    record.attempt.check()
    key = record.take_key(f"ask: {question.name or question.prompt}")
    step = record.find(key)
    if step is not None and step.finished:
        record.pass_by(key)
        return step.result
    prompt = question.prompt
    answer = record.answer
    if step is not None and answer is not None:
        try:
            value = record.events.read(partial(question.read, step, answer))
        except Unclear as unclear:
            prompt = f"{unclear} {prompt}".strip()
        else:
            record.resume(step, value, lambda step: question.answer(step, value))
            return value
    elif step is None and record.replays:
        # The answer belongs to a question that the present code doesn't ask here.
        raise WorkflowChanged
    record.suspend(key, question.ask)
    about = {"kind": question.kind, "prompt": question.prompt, "optional": False}
    raise TurnEnded(prompt, about | question.awaiting)


def load(model: type[M], answer: Any, prompt: str) -> M:
    """Return a recorded answer to a form, as the model.

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
    return None if is_excessive(value) else value


def complain(error: ValidationError) -> str:
    """Return a sentence about the faults of a form."""
    wrong = [f"{'.'.join(map(str, e['loc'])) or 'form'}: {e['msg']}" for e in error.errors()]
    return f"Please mend the form ({'; '.join(wrong)})."
