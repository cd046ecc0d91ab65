from typing import Any

import pytest

from tests.workflows.tasks import errands

TASKS = {
    "default": {
        "BACKEND": "chatflow.workflows.tasks.backend.Backend",
        "QUEUES": ["default", "slow"],
    }
}


@pytest.fixture(autouse=True)
def _in_the_cluster(settings: Any) -> None:
    settings.TASKS = TASKS
    errands.done.clear()
