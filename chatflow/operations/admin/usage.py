"""What users used, by days."""

from django.contrib import admin
from django.contrib.auth import get_user_model

from chatflow.operations.admin.tables import BigTableAdmin
from chatflow.workflows.models import (
    DailyUsage,
)


@admin.register(DailyUsage)
class DailyUsageAdmin(BigTableAdmin):
    list_display = ("user", "day", "requests", "tokens")
    list_select_related = ("user",)
    search_fields = (f"user__{get_user_model().USERNAME_FIELD}__exact",)
    search_help_text = "A user's name."
