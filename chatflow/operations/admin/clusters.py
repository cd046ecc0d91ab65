"""Who works, and whether it is alive."""

from typing import Any

from django.contrib import admin
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest

from chatflow.operations.admin.tables import Listed, ModelAdmin, ReadOnly, moment
from chatflow.workflows.models import Cluster
from chatflow.workflows.services import queues


@admin.register(Cluster)
class ClusterAdmin(Listed, ReadOnly, ModelAdmin):
    list_display = ("host", "pid", "workers", "alive", moment("started_at"), moment("seen_at"))
    sortable_by = ()
    ordering = ("-seen_at",)
    fields = list_display
    readonly_fields = list_display

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        alive = Exists(queues.clusters().filter(pk=OuterRef("pk")))
        found: QuerySet[Any] = super().get_queryset(request).annotate(seen_lately=alive)
        return found

    @admin.display(boolean=True, description="alive")
    def alive(self, cluster: Any) -> bool:
        return bool(cluster.seen_lately)
