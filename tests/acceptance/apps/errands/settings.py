from chatflow.settings import *  # noqa: F403

TASKS = {"default": {"BACKEND": "chatflow.workflows.tasks.backend.Backend"}}
