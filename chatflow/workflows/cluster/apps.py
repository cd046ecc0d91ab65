from django.apps import AppConfig

from chatflow.workflows.cluster.defaults import name_database, set_defaults

# Before django_q, which stands below.
IS_OURS = set_defaults()


class ClusterConfig(AppConfig):
    """Stands above django_q in INSTALLED_APPS, so that this ``qcluster`` command is found first."""

    name = "chatflow.workflows.cluster"
    label = "chatflow_cluster"

    def ready(self) -> None:
        from chatflow.workflows.cluster import checks  # noqa: F401
        from chatflow.workflows.cluster.functions import guard_hooks
        from chatflow.workflows.cluster.pickles import sign_pickles

        if IS_OURS:
            name_database()
        guard_hooks()
        sign_pickles()
