"""The answer to a call for help: what the assistant can do."""

from chatflow.workflows.models import Job
from chatflow.workflows.permissions import workflows_for
from chatflow.workflows.registry import Workflow


def guide(job: Job) -> str:
    """Return what the assistant can do for the owner of *job*."""
    lines = [_describe(each) for each in workflows_for(job) if each.triggers]
    if not lines:
        return "Ask me anything."
    return "\n".join(["Ask me anything, or let me do one of these:", "", *lines])


def _describe(workflow: Workflow) -> str:
    about = f": {workflow.description}" if workflow.description else ""
    return f"- **{workflow.title}**{about} Say “{workflow.triggers[0]}”."
