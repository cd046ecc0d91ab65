"""The answer to a call for help: what the assistant can do."""

from chatflow.workflows.dialogue import answers
from chatflow.workflows.registry import Workflow, all_workflows


def guide(text: str) -> str | None:
    """Return what the assistant can do, for a message that only wants to know that; else None."""
    if not answers.is_help(text):
        return None
    lines = [_describe(each) for each in all_workflows() if each.triggers]
    if not lines:
        return "Ask me anything."
    return "\n".join(["Ask me anything, or let me do one of these:", "", *lines])


def _describe(workflow: Workflow) -> str:
    about = f": {workflow.description}" if workflow.description else ""
    return f"- **{workflow.title}**{about} Say “{workflow.triggers[0]}”."
