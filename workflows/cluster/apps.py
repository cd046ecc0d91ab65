from django.apps import AppConfig


class ClusterConfig(AppConfig):
    """Stands above django_q in INSTALLED_APPS, so that this ``qcluster`` command is found first."""

    name = "workflows.cluster"
    label = "workflows_cluster"
