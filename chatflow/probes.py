"""What watches the site, to be included at its root: whether it lives, can serve, and has to do.

``path("", include("chatflow.probes"))``
"""

from django.urls import path

from chatflow.endpoints import probes

urlpatterns = [
    path("healthz", probes.healthz, name="healthz"),
    path("readyz", probes.readyz, name="readyz"),
    path("metrics", probes.metrics, name="metrics"),
]
