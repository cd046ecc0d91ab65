from chatflow.settings import *  # noqa: F403
from chatflow.settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "django_tasks"]
TASKS = {"default": {"BACKEND": "chatflow.workflows.tasks.backend.Backend"}}
