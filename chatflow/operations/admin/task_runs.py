"""Pages of the runs of Django's tasks."""

from django.contrib import admin

from chatflow.operations.admin.tables import BigTableAdmin
from chatflow.workflows.models import (
    TaskRun,
)


@admin.register(TaskRun)
class TaskRunAdmin(BigTableAdmin):
    list_display = ("public_id", "path", "status", "queue", "attempt", "enqueued_at", "finished_at")
    list_filter = ("status",)
    search_fields = ("public_id__exact", "path__exact")
    search_help_text = "A task's id, or its function's dotted name."
