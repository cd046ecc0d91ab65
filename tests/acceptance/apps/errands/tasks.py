"""Tasks that stop where a test wants them to."""

import os
from pathlib import Path
from typing import Any

from chatflow.workflows.tasks.interface import TaskContext, task
from tests.acceptance.apps.gates import pass_gate


@task(takes_context=True)
def visit(context: "TaskContext[..., Any]", gate: str) -> int:
    """Say which process runs this, pass the gate, and return the number of the attempt."""
    (Path(os.environ["ACCEPTANCE_GATES"]) / f"{gate}.pid").write_text(str(os.getpid()))
    pass_gate(gate)
    return context.attempt
