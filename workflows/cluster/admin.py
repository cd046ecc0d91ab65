"""django-q2's own admin pages, without the parts that let staff run any code.

A schedule calls whatever importable function it names, and a resubmitted task one that a row names
together with pickled arguments: both are for superusers.
"""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django_q.admin import FailAdmin, ScheduleAdmin, TaskAdmin
from django_q.models import Failure, Schedule, Success


class SuperuserSchedules(ScheduleAdmin):  # type: ignore[misc]
    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.is_superuser

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.is_superuser


class SuperuserActions:
    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        actions: dict[str, Any] = super().get_actions(request)  # type: ignore[misc]
        return actions if request.user.is_superuser else {}


class SuccessAdmin(SuperuserActions, TaskAdmin):  # type: ignore[misc]
    pass


class FailureAdmin(SuperuserActions, FailAdmin):  # type: ignore[misc]
    pass


for model, model_admin in (
    (Schedule, SuperuserSchedules),
    (Success, SuccessAdmin),
    (Failure, FailureAdmin),
):
    admin.site.unregister(model)
    admin.site.register(model, model_admin)
