"""The pages of the operator's room, within Django's admin: one file for each kind of row."""

from chatflow.operations.admin import (  # noqa: F401
    acts,
    approvals,
    clusters,
    django_q,
    documents,
    jobs,
    overview,
    sessions,
    task_runs,
    tokens,
    usage,
)
