"""What a project writes into its settings. Nothing here reads them."""

# What is told where some are missing.
WRITE = "Write INSTALLED_APPS = [*APPS, …], with from chatflow.install import APPS."
# For INSTALLED_APPS, in front of the project's own.
APPS = [
    # Above staticfiles, so that `manage.py runserver` starts the one that streams.
    "chatflow",
    "chatflow.operations",
    "rest_framework",
    "knox",
    # Above django_q, so that `manage.py qcluster` starts the safe cluster.
    "chatflow.workflows.cluster",
    "django_q",
    "chatflow.workflows",
    "chatflow.workflows.knowledge",
    "chatflow.workflows.library",
]
