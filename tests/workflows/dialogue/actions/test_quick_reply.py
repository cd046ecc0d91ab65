from chatflow.workflows.dialogue.actions import Turn
from chatflow.workflows.dialogue.actions.quick_reply import QuickReply
from tests.workflows.dialogue.actions.contract import ActionContract


class TestQuickReply(ActionContract):
    type = QuickReply
    action = {"type": "quick_reply", "label": "Another", "message": " create invoice "}
    public = {"label": "Another", "message": "create invoice"}
    turn = Turn("create invoice")
    wrong = [{"message": ""}, {"message": " "}, {"message": "x" * 4001}, {"workflow": "pay"}]
