"""AG-UI at ``/ag-ui/``; see chatflow.dialects.ag_ui."""

from django.urls import path

from chatflow.endpoints.ag_ui import runs, threads

urlpatterns = [
    path("ag-ui/", runs.run, name="ag-ui"),
    path("ag-ui/threads/<path:thread_id>/stream", threads.stream, name="ag-ui-stream"),
    path("ag-ui/threads/<path:thread_id>/cancel", threads.cancel, name="ag-ui-cancel"),
    # A model's name may have slashes.
    path("ag-ui/<path:workflow>", runs.run_workflow, name="ag-ui-workflow"),
]
