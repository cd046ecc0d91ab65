"""The workflows that a model is offered, to hand the message over to."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn


@dataclass(frozen=True)
class Route:
    """A workflow that a model may choose, instead of answering.

    Args:
        workflow: its name.
        description: what it does, for the model.
        take: hands the message over to it, which ends the run; plain code.
    """

    workflow: str
    description: str
    take: Callable[[], NoReturn]
