"""A quick reply: words that the user might have typed."""

from typing import Any, Literal

from chatflow.workflows.dialogue.actions.base import Offer, Text, Turn, refuse


class QuickReply(Offer):
    """Sends a message."""

    type: Literal["quick_reply"]
    message: Text

    def turn(self, data: dict[str, Any] | None = None) -> Turn:
        refuse(data)
        return Turn(self.message)
