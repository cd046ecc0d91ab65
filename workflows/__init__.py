"""The workflows of this installation, beside those that ``chatflow`` brings.

``from workflows import Context, workflow`` is ``from chatflow.workflows import …``: short, where a
script lies in this checkout.
"""

from typing import TYPE_CHECKING, Any

import chatflow.workflows

if TYPE_CHECKING:
    from chatflow.workflows import (
        Context,
        File,
        SentFile,
        ToolError,
        WorkflowError,
        tool,
        workflow,
    )

__all__ = ["Context", "File", "SentFile", "ToolError", "WorkflowError", "tool", "workflow"]


def __getattr__(name: str) -> Any:
    # Context is asked for when it is wanted only: see there.
    if name in __all__:
        return getattr(chatflow.workflows, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
