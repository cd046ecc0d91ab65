from django.apps import AppConfig


class ClusterConfig(AppConfig):
    """Stands above django_q in INSTALLED_APPS, so that this ``qcluster`` command is found first."""

    name = "workflows.cluster"
    label = "workflows_cluster"

    def ready(self) -> None:
        from workflows.cluster.functions import guard_hooks
        from workflows.cluster.pickles import sign_pickles

        guard_hooks()
        sign_pickles()
