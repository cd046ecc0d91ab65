"""Which columns have words: what users and models wrote, and what may repeat it.

Staff see them by a permission of their own, and retention empties them. All else that a row has
are names of the site's own, figures, states, times and keys. A test holds the two lists against
the models, so that each new column is decided.
"""

from typing import Any

# What stands in their place when retention has taken them.
REMOVED = "(Removed: older than this site keeps words.)"

TEXTS: dict[str, tuple[str, ...]] = {
    "chatflow_workflows.session": ("summary", "title"),
    "chatflow_workflows.message": ("content", "actions", "sources"),
    "chatflow_workflows.job": (
        *("text", "options", "input", "progress_message"),
        *("response", "actions", "offers", "sources", "metadata", "awaiting"),
        # What went wrong often says with what.
        *("error", "traceback"),
    ),
    "chatflow_workflows.step": ("result",),
    "chatflow_workflows.event": ("message", "data"),
    "chatflow_workflows.feedback": ("comment",),
    "chatflow_workflows.approvalrequest": ("prompt", "details", "schema", "reason", "answer"),
    "chatflow_workflows.taskrun": ("args", "kwargs", "return_value", "errors"),
    "chatflow_knowledge.document": ("title", "name", "url", "path", "content"),
    "chatflow_knowledge.attachment": ("name",),
    "chatflow_knowledge.unreadfile": ("name",),
    "chatflow_knowledge.chunk": ("title", "name", "heading", "text", "topics", "terms"),
    "chatflow.token": ("name",),
}
# Texts and JSON that are none. An act's reason is a colleague's, for colleagues.
OTHERS: dict[str, tuple[str, ...]] = {
    "chatflow_workflows.session": ("tenant", "key"),
    "chatflow_workflows.deletedsession": ("tenant", "key"),
    "chatflow_workflows.message": ("role",),
    "chatflow_workflows.job": (
        *("public_id", "tenant", "workflow", "mode", "state", "queue", "worker", "host"),
        *("cancel_code", "unique_key", "idempotency_key", "body_hash", "usage", "code"),
    ),
    "chatflow_workflows.step": ("name", "usage"),
    "chatflow_workflows.event": ("type",),
    "chatflow_workflows.feedback": ("value",),
    "chatflow_workflows.actionuse": ("action_id",),
    "chatflow_workflows.approvalrequest": ("public_id", "workflow", "by", "via"),
    "chatflow_workflows.taskrun": (
        *("public_id", "backend", "path", "status", "queue", "worker", "worker_ids"),
    ),
    "chatflow_workflows.usagefigures": ("workflow", "model"),
    "chatflow_workflows.usagesums": ("span", "workflow", "model"),
    "chatflow_workflows.cluster": ("host", "place", "queues", "processes"),
    "chatflow_workflows.figures": ("queue", "workflow", "waited", "ran"),
    "chatflow_knowledge.document": ("tenant", "kind", "content_hash"),
    "chatflow_knowledge.attachment": ("kind",),
    "chatflow_knowledge.unreadfile": ("tenant", "error"),
    "chatflow_knowledge.chunk": ("audience", "embedding", "embedded_by"),
    "chatflow.token": ("digest", "token_key", "public_id", "scope", "workflow"),
    "chatflow.tally": ("key",),
    "chatflow_operations.mark": ("what", "later"),
    "chatflow_operations.act": (
        *("who_key", "who", "origin", "act", "target_type", "target_id", "outcome", "why"),
    ),
}


class Unsaid:
    """For a model whose rows people know by words: ``str()`` tells their keys all the same.

    Django's admin calls rows by that in a dozen places, and so do logs and histories. Whoever has
    made sure that the one who looks may read the words sets `called`, for this instance.
    """

    called = ""

    def __str__(self) -> str:
        row: Any = self
        return self.called or str(getattr(row, "public_id", row.pk))
