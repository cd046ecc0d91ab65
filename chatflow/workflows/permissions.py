"""The workflows that a user may use, as the project's MAY_USE says; one that they may not is as
unknown to them as one that is not there.

It is asked wherever a workflow is offered or begun. What has begun goes on: a question can be
answered, and an approval decided, whatever it says by then.
"""

from typing import Any

from chatflow.conf import conf
from chatflow.workflows.exceptions import UnknownWorkflow
from chatflow.workflows.registry import Workflow, all_workflows, get_workflow


def usable_workflows(user: Any, tenant: str) -> list[Workflow]:
    """Return the workflows that *user* may use, by name.

    Args:
        user: who would use them.
        tenant: the organisation for which they act; empty for none.
    """
    may_use = conf.MAY_USE
    if may_use is None:
        return all_workflows()
    return [each for each in all_workflows() if may_use(user, each.name, tenant)]


def workflows_for(job: Any) -> list[Workflow]:
    """Return the workflows that the owner of *job* may use, acting for its organisation."""
    # Without a hook the owner's row is not read for it.
    return all_workflows() if conf.MAY_USE is None else usable_workflows(job.user, job.tenant)


def usable_workflow(name: str, user: Any, tenant: str) -> Workflow:
    """Return the workflow called *name*.

    Args:
        name: of the workflow.
        user: who would use it.
        tenant: the organisation for which they act; empty for none.

    Raises:
        UnknownWorkflow: there is none, or *user* may not use it.
    """
    workflow, may_use = get_workflow(name), conf.MAY_USE
    if may_use is not None and not may_use(user, name, tenant):
        raise UnknownWorkflow(f"There is no workflow called {name!r}.")
    return workflow
