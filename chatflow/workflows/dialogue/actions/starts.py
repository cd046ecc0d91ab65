"""Actions that start a workflow: a button, a confirm, a form."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, JsonValue, PlainValidator

from chatflow.workflows.dialogue.actions.base import Offer, Text, Turn, refuse
from chatflow.workflows.dialogue.forms import problems, schema_of
from chatflow.workflows.exceptions import InvalidForm, UnknownWorkflow
from chatflow.workflows.registry import get_workflow


def _registered(name: str) -> str:
    try:
        return get_workflow(name).name
    except UnknownWorkflow as error:
        raise ValueError(str(error)) from None


class Start(Offer):
    """Starts a workflow, which finds *input* as ``ctx.input``."""

    private: ClassVar[frozenset[str]] = Offer.private | {"workflow", "input"}

    workflow: Annotated[str, AfterValidator(_registered)]
    input: dict[str, JsonValue] = Field(default_factory=dict)

    def turn(self, data: dict[str, Any] | None = None) -> Turn:
        refuse(data)
        return Turn(self.label, self.workflow, self.input)


class Button(Start):
    """Starts a workflow at once."""

    type: Literal["button"]


class Confirm(Start):
    """Starts a workflow after the client has asked the user *prompt*."""

    type: Literal["confirm"]
    prompt: Text


class Form(Start):
    """Starts a workflow with what the user fills in; *input* wins over it."""

    type: Literal["form"]
    form: Annotated[dict[str, Any], PlainValidator(schema_of)] = Field(alias="schema")

    def turn(self, data: dict[str, Any] | None = None) -> Turn:
        filled = {} if data is None else data
        if wrong := problems(self.form, filled):
            raise InvalidForm(wrong)
        return Turn(self.label, self.workflow, {**filled, **self.input})
