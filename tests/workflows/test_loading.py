"""Loading: without a look at garbage, and in a cluster without what answers requests."""

import gc
import os
import subprocess
import sys

import pytest

from chatflow.workflows.loading import uncollected

# What a cluster must not import before it works.
CODE = """
import sys
import django
django.setup()
from chatflow.workflows.cluster.management.commands.qcluster import Command
Command().check()
others = {"rest_framework.serializers", "requests", "yaml"}
edge = {"chatflow.api", "chatflow.answers.errors"}
print(*sorted((others | edge) & {*sys.modules}))
"""


def test_the_collector_rests_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gc, "freeze", lambda: None)
    with uncollected():
        assert not gc.isenabled()
    assert gc.isenabled()


def test_a_cluster_loads_nothing_of_the_edge() -> None:
    env = os.environ | {"DJANGO_SETTINGS_MODULE": "chatflow.settings"}
    code = [sys.executable, "-c", CODE]
    done = subprocess.run(code, env=env, capture_output=True, text=True, check=True)
    assert done.stdout == "\n"
