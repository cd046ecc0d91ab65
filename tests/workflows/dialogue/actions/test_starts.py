from typing import Any

from pydantic import BaseModel

from chatflow.workflows.dialogue.actions import Turn
from chatflow.workflows.dialogue.actions.starts import Button, Confirm, Form
from chatflow.workflows.dialogue.forms import schema_of
from tests.workflows.dialogue.actions.contract import SECRET, ActionContract

START = {"label": "Pay", "workflow": "pay", "input": {"invoice": SECRET}}
WRONG: list[dict[str, Any]] = [
    {"workflow": "nobody"},
    {"input": [1]},
    {"input": {"a": object()}},
    {"message": "x"},
]


class Payment(BaseModel):
    amount: int


class TestButton(ActionContract):
    type = Button
    action = {"type": "button", **START}
    public = {"label": "Pay"}
    turn = Turn("Pay", "pay", {"invoice": SECRET})
    wrong = WRONG


class TestConfirm(ActionContract):
    type = Confirm
    action = {"type": "confirm", "prompt": "Really?", **START}
    public = {"label": "Pay", "prompt": "Really?"}
    turn = Turn("Pay", "pay", {"invoice": SECRET})
    wrong = [*WRONG, {"prompt": None}, {"prompt": ""}, {"prompt": "x" * 4001}]


class TestForm(ActionContract):
    type = Form
    action = {"type": "form", "schema": Payment, **START}
    public = {"label": "Pay", "schema": schema_of(Payment)}
    turn = Turn("Pay", "pay", {"amount": 5, "invoice": SECRET})
    data = {"amount": 5}
    wrong_data = [None, {}, {"amount": "5"}, {"amount": 5, "invoice": 8}, [], "amount"]
    wrong = [*WRONG, {"schema": {"type": "string"}}, {"schema": None}, {"schema": "Payment"}]

    def test_its_input_wins(self) -> None:
        form = self.restored(input={"amount": 1})
        assert form.turn({"amount": 5}).input == {"amount": 1}
