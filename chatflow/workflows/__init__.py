"""Chatflow's engine: background workflows as durable jobs. It knows nothing of HTTP.

This module is what workflow authors import: ``from chatflow.workflows import Context, workflow``.
"""

from typing import TYPE_CHECKING, Any

from chatflow.workflows.ai.messages import File, SentFile
from chatflow.workflows.ai.tools import tool
from chatflow.workflows.exceptions import ToolError, WorkflowError
from chatflow.workflows.registry import workflow

if TYPE_CHECKING:
    from chatflow.workflows.running.context import Context

__all__ = ["Context", "File", "SentFile", "ToolError", "WorkflowError", "tool", "workflow"]


def __getattr__(name: str) -> Any:
    # Context reaches the models, which can't be imported while Django still loads its apps.
    if name == "Context":
        from chatflow.workflows.running.context import Context

        return Context
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
