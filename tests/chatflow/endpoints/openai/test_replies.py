"""What the input of a response says."""

from typing import Any

import pytest
from rest_framework.exceptions import ValidationError

from chatflow.endpoints.openai.replies import Decision, Reply, Words, read

USERS = {"role": "user", "content": "hello"}
OUTPUT = {"type": "function_call_output", "call_id": "call_1", "output": "Ann"}
DECISION = {"type": "mcp_approval_response", "approval_request_id": "mcpr_1", "approve": True}


@pytest.mark.parametrize(
    ("value", "reply"),
    [
        (" hello ", Words(text="hello")),
        ([USERS], Words(text="hello")),
        (
            [{**USERS, "type": "message"}, {"role": "assistant", "content": "x"}],
            Words(text="hello"),
        ),
        ([DECISION, USERS], Words(text="hello")),
        ([USERS, OUTPUT], Words(text="Ann", hex="1")),
        (
            [{**OUTPUT, "output": [{"type": "input_text", "text": "Ann"}]}],
            Words(text="Ann", hex="1"),
        ),
        ([USERS, DECISION], Decision(hex="1", approve=True, reason="")),
        ([{**DECISION, "reason": "Why"}], Decision(hex="1", approve=True, reason="Why")),
        ([{**DECISION, "reason": None}], Decision(hex="1", approve=True, reason="")),
        ([USERS, {"type": "reasoning"}, {"type": {}}, 7, None], Words(text="hello")),
    ],
)
def test_the_newest_counts(value: Any, reply: Reply) -> None:
    assert read(value) == reply


@pytest.mark.parametrize(
    "value",
    [
        *(None, 7, {}, "", " ", [], [[USERS]], [{"role": "assistant", "content": "x"}]),
        [{"role": "user"}],
        [{"role": "user", "content": [{"type": "input_image"}]}],
        [{**OUTPUT, "call_id": "1"}],
        [{**OUTPUT, "call_id": "call_"}],
        [{**OUTPUT, "call_id": None}],
        [{**OUTPUT, "output": None}],
        [{**DECISION, "approve": "yes"}],
        [{**DECISION, "approve": None}],
        [{**DECISION, "reason": 7}],
        [{**DECISION, "reason": "x" * 1001}],
        [{**DECISION, "approval_request_id": ["mcpr_1"]}],
        [[[[]]]] * 1000,
    ],
)
def test_what_says_nothing(value: Any) -> None:
    with pytest.raises(ValidationError) as raised:
        read(value)
    assert set(raised.value.detail) == {"input"}
