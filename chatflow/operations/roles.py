"""What a member of the staff may do in the operator's room."""

from typing import Any

# What users asked and were answered is for those who have this; the rest of a row for all who may
# view it.
READ_TEXTS = "chatflow_operations.read_texts"
OPERATE = "chatflow_workflows.change_job"
DECIDE = "chatflow_workflows.change_approvalrequest"


def may_read_texts(user: Any) -> bool:
    return bool(user.has_perm(READ_TEXTS))


def may_operate(user: Any) -> bool:
    """Say whether *user* may cancel, retry, move and forget jobs."""
    return bool(user.has_perm(OPERATE))


def may_decide(user: Any) -> bool:
    """Say whether *user* may answer and approve for others."""
    return bool(user.has_perm(DECIDE))
