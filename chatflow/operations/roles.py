"""What a member of the staff may do in the operator's room."""

from typing import Any

# What users asked and were answered is for those who have this; the rest of a row for all who may
# view it.
READ_TEXTS = "chatflow_operations.read_texts"
OPERATE = "chatflow_workflows.change_job"
DECIDE = "chatflow_workflows.change_approvalrequest"
PERSONS = "chatflow_operations.manage_persons"

# What stands in the place of words that somebody may not read.
HIDDEN = "(hidden)"
FORM_HIDDEN = "Approving this takes a form, which is hidden from you."


def may_read_texts(user: Any) -> bool:
    """Say whether *user* may read what users and models wrote."""
    return bool(user.has_perm(READ_TEXTS))


def may_operate(user: Any) -> bool:
    """Say whether *user* may cancel, retry, move and forget jobs."""
    return bool(user.has_perm(OPERATE))


def may_decide(user: Any) -> bool:
    """Say whether *user* may answer and approve for others."""
    return bool(user.has_perm(DECIDE))


def may_approve(user: Any, asked: Any) -> bool:
    """Say whether *user* may approve a request for others; a form is filled in by who can read it.

    Args:
        user: a member of the staff.
        asked: the request for approval.
    """
    return may_decide(user) and (asked.schema is None or may_read_texts(user))


def may_manage_persons(user: Any) -> bool:
    """Say whether *user* may export and delete all data of a person."""
    return bool(user.has_perm(PERSONS))


def shown(user: Any, text: Any) -> Any:
    """Return words of users or models as *user* may see them.

    Args:
        user: a member of the staff.
        text: the words; a value of JSON too.

    Returns:
        *text* itself for those who may read it, or where it is empty; else `HIDDEN`.
    """
    return text if not text or may_read_texts(user) else HIDDEN
