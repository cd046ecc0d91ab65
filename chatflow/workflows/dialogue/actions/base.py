"""What an action is, and the turn that begins when it is used."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints

from chatflow.workflows.dialogue.form_keys import WHOLE
from chatflow.workflows.exceptions import InvalidForm

# No timedelta is longer than this many seconds from now, nor has anybody to wait for it.
LONGEST = 10 * 365 * 86400

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4000)]
Label = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]


@dataclass(frozen=True)
class Turn:
    """The turn that begins when an action is used.

    Args:
        message: the user's words; the label of the action, where a workflow is named.
        workflow: its name; without one the message decides.
        input: the workflow's; without any the turn is a message like others.
    """

    message: str
    workflow: str | None = None
    input: dict[str, JsonValue] | None = None


class Offer(BaseModel, ABC):
    """What all actions have: a label, and perhaps the seconds for which they are open.

    A type of action is a subclass with a ``type``: a literal, by which clients know it.
    """

    # Its validators are made when the first action is offered, not at each start.
    model_config = ConfigDict(extra="forbid", strict=True, defer_build=True)

    # The fields that a client is not told.
    private: ClassVar[frozenset[str]] = frozenset({"expires_in"})

    label: Label
    expires_in: Annotated[float, Field(gt=0, le=LONGEST)] | None = None

    @abstractmethod
    def turn(self, data: dict[str, Any] | None = None) -> Turn:
        """Return the turn that begins when the action is used.

        Args:
            data: from the client; nothing in it is believed that wasn't asked for.

        Raises:
            InvalidForm: the data doesn't fit, or the action takes none, or begins no turn.
        """


def refuse(data: dict[str, Any] | None) -> None:
    """Let an action that asks for nothing take nothing.

    Raises:
        InvalidForm: there is data.
    """
    if data:
        raise InvalidForm({WHOLE: ["Only a form takes data."]})
