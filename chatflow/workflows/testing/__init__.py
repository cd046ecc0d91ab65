"""The testing kit: a team's tests of its own workflows, in the test database, without a cluster.

``pytest_plugins = ["chatflow.workflows.testing.plugin"]`` brings the fixtures ``run`` and
``replay``.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chatflow.workflows.testing.answers import OPEN, Approve, Reject
    from chatflow.workflows.testing.replays import replay
    from chatflow.workflows.testing.runs import run
    from chatflow.workflows.testing.script import OFFLINE, Use
    from chatflow.workflows.testing.time_travel import advance, freeze
    from chatflow.workflows.testing.turns import StepRun, Turn

__all__ = [
    "OFFLINE",
    "OPEN",
    "Approve",
    "Reject",
    "StepRun",
    "Turn",
    "Use",
    "advance",
    "freeze",
    "replay",
    "run",
]

HOMES = {
    "OFFLINE": "script",
    "OPEN": "answers",
    "Approve": "answers",
    "Reject": "answers",
    "StepRun": "turns",
    "Turn": "turns",
    "Use": "script",
    "advance": "time_travel",
    "freeze": "time_travel",
    "replay": "replays",
    "run": "runs",
}


def __getattr__(name: str) -> Any:
    # They reach the models; pytest imports the plugin in this room before Django is set up.
    if name in HOMES:
        return getattr(import_module(f"{__name__}.{HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
