"""The names that dialects give to a job, and to its question."""

from chatflow.dialects.ids import hex_of, question_id


def test_it_works() -> None:
    assert hex_of("workflow_0a") == "0a"
    assert question_id("workflow_0a", {"kind": "text"}) == "ask_0a"
    assert question_id("workflow_0a", {"approval_id": "approval_1"}) == "approval_1"
