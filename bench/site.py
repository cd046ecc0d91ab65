"""Chatflow on one database, to be measured."""

import json
import os
import subprocess
import sys
from typing import Any

from bench.processes import ROOT, Program, Web, uvicorn

UNLIMITED = {
    "RATE_LIMIT_SEND": "100000000/s",
    "STREAMS_PER_USER": "100000",
    # A user may have a quarter of these run sync sends at once; the load has eight connections.
    "WEB_THREADS": "32",
    # A run of a measurement is one job.
    "WORKFLOW_MAX_EXECUTION_TIME": "600",
}


class Site:
    """A migrated database with one user, and the processes that serve it.

    Args:
        database_url: an empty database, as ``DATABASE_URL`` spells it.
    """

    def __init__(self, database_url: str) -> None:
        self.database_url = database_url
        self.environment = UNLIMITED | {
            "DATABASE_URL": database_url,
            "ENV_FILE": os.devnull,
            "SECRET_KEY": "only-for-the-bench",
            "DJANGO_SETTINGS_MODULE": "chatflow.settings",
            "EXTRA_APPS": "bench.workflows_app",
            "QUEUE_WORKERS": "2",
        }
        self._python("manage.py", "migrate", "--verbosity=0")
        created = self._python("manage.py", "create_token", "bench", "--create")
        self.headers = {"Authorization": f"Bearer {created.split()[-1]}"}

    def web(self, application: str = "chatflow.asgi:application") -> Web:
        return uvicorn(application, self.environment)

    def cluster(self, *, wait: bool = True) -> Program:
        """A cluster of two workers.

        Args:
            wait: it counts as started when its row is there; without, at once.
        """
        self.inside("forget_clusters")
        return Program(
            str(ROOT / "manage.py"),
            "qcluster",
            environment=self.environment,
            ready=lambda: not wait or self.inside("clusters") > 0,
        )

    def sign_in_link(self) -> str:
        """Return a path that signs the user in, once."""
        return self._python("manage.py", "sign_in_link", "bench").strip()

    def inside(self, verb: str, *arguments: object) -> Any:
        """Call a function of bench/inside.py in a process of its own; return its result."""
        return json.loads(self._python("-m", "bench.inside", verb, *map(str, arguments)))

    def _python(self, *arguments: str) -> str:
        return python(*arguments, environment=self.environment)


def python(*arguments: str, environment: dict[str, str], program: str = sys.executable) -> str:
    """Run a Python program to its end and return its output."""
    done = subprocess.run(
        [program, *arguments],
        cwd=ROOT,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return done.stdout
