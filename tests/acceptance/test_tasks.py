"""Tasks of django.tasks, in real processes."""

import json
import os
import signal
from typing import Any

from tests.acceptance.conftest import MakeSite
from tests.acceptance.processes import Site, eventually, is_alive

ERRANDS = "tests.acceptance.apps.errands"
ENQUEUE = f"from {ERRANDS}.tasks import visit; print(visit.enqueue('errand').id)"
READ = f"""
import json
from {ERRANDS}.tasks import visit
result = visit.get_result("%s")
print(json.dumps([result.status, result.return_value, len(set(result.worker_ids))]))
"""


def in_the_shell(site: Site, code: str) -> str:
    """Run code in a process of its own; return the last line that it prints."""
    return site.manage("shell", "--command", code).stdout.splitlines()[-1]


def test_a_task_outlives_its_worker(make_site: MakeSite, kind: str) -> None:
    site = make_site(kind, DJANGO_SETTINGS_MODULE=f"{ERRANDS}.settings")
    site.start_cluster()
    site.close_gate("errand")
    task_id = in_the_shell(site, ENQUEUE)
    site.wait_at_gate("errand")
    worker = int((site.gates / "errand.pid").read_text())
    os.kill(worker, signal.SIGKILL)
    eventually(lambda: not is_alive(worker))
    site.wait_at_gate("errand", 2)
    site.open_gate("errand")

    def ended() -> list[tuple[Any, ...]]:
        return site.query("SELECT id FROM workflows_taskrun WHERE finished_at IS NOT NULL")

    eventually(ended)
    assert json.loads(in_the_shell(site, READ % task_id)) == ["SUCCESSFUL", 2, 2]
