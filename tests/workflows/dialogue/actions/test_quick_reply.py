from tests.workflows.dialogue.actions.contract import ActionContract
from workflows.dialogue.actions import Turn
from workflows.dialogue.actions.quick_reply import QuickReply


class TestQuickReply(ActionContract):
    type = QuickReply
    action = {"type": "quick_reply", "label": "Another", "message": " create invoice "}
    public = {"label": "Another", "message": "create invoice"}
    turn = Turn("create invoice")
    wrong = [{"message": ""}, {"message": " "}, {"message": "x" * 4001}, {"workflow": "pay"}]
