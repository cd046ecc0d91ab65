"""django-q2's own admin pages, without the parts that let people run any code.

A schedule calls a function that its row names, and a resubmitted task one together with its
arguments: both are for superusers, and for functions of TASK_FUNCTIONS; see functions.py.
"""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import Field
from django.http import HttpRequest
from django_q.admin import FailAdmin, ScheduleAdmin, TaskAdmin, resubmit_task
from django_q.models import Failure, Schedule, Success

from chatflow.conf import conf
from chatflow.operations import audit
from chatflow.operations.admin.audited import Audited
from chatflow.workflows.cluster.pickles import is_read


class SuperuserSchedules(Audited, ScheduleAdmin):  # type: ignore[misc]
    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.is_superuser and bool(conf.TASK_FUNCTIONS)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.is_superuser

    def formfield_for_dbfield(
        self, db_field: "Field[Any, Any]", request: HttpRequest, **kwargs: Any
    ) -> Any:
        """Offer the functions that may be called, and no others."""
        if db_field.name not in ("func", "hook"):
            return super().formfield_for_dbfield(db_field, request, **kwargs)
        names = [(name, name) for name in conf.TASK_FUNCTIONS]
        return forms.ChoiceField(
            label=db_field.verbose_name,
            required=not db_field.blank,
            choices=[("", "---------"), *names],
        )


@admin.action(description="Resubmit selected tasks to queue")
def resubmit(model_admin: Any, request: HttpRequest, tasks: Any) -> None:
    """Do what django-q2's own action does, for the tasks whose arguments are known."""
    chosen = list(tasks)
    readable = [task for task in chosen if is_read(task)]
    resubmit_task(model_admin, request, readable)
    for task in readable:
        audit.record(request, task, "Resubmit")
    if len(readable) < len(chosen):
        words = "Some tasks were left: their arguments are not signed, so they are not read."
        model_admin.message_user(request, words, messages.WARNING)


class SuperuserActions:
    actions = (resubmit,)

    def get_actions(self, request: HttpRequest, action_location: Any = None) -> dict[str, Any]:
        # Since Django 6.1 there are actions of other pages too.
        where = {} if action_location is None else {"action_location": action_location}
        actions: dict[str, Any] = super().get_actions(request, **where)  # type: ignore[misc]
        return actions if request.user.is_superuser else {}


class SuccessAdmin(Audited, SuperuserActions, TaskAdmin):  # type: ignore[misc]
    pass


class FailureAdmin(Audited, SuperuserActions, FailAdmin):  # type: ignore[misc]
    pass


for model, model_admin in (
    (Schedule, SuperuserSchedules),
    (Success, SuccessAdmin),
    (Failure, FailureAdmin),
):
    admin.site.unregister(model)
    admin.site.register(model, model_admin)
