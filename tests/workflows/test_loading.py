"""Loading: without a look at garbage, and in a cluster without what answers requests."""

import gc
import importlib
import os
import subprocess
import sys

import pytest

from chatflow.workflows.loading import deferred, uncollected, without

# What a cluster must not import before it works: what answers requests, and what documents need.
CLUSTER = """
import sys
import django
django.setup()
from chatflow.workflows.cluster.management.commands.qcluster import Command
Command().check()
edge = {"chatflow.api", "chatflow.answers.errors", "chatflow.operations.admin"}
others = {"rest_framework.serializers", "requests", "yaml", "django.db.migrations.executor"}
documents = {"snowballstemmer", "stopwordsiso", "lxml"}
print(*sorted((edge | others | documents) & {*sys.modules}))
"""
# The same of a web server. Where no database is PostgreSQL, it needs no driver of that.
WEB = """
import sys
import chatflow.asgi
libraries = {"psycopg", "pydantic_ai", "requests", "jwt"}
print(*sorted((libraries | {"snowballstemmer", "stopwordsiso", "lxml"}) & {*sys.modules}))
from django.contrib.postgres.fields import ArrayField
"""


def test_the_collector_rests_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gc, "freeze", lambda: None)
    with uncollected():
        assert not gc.isenabled()
    assert gc.isenabled()


@pytest.mark.sqlite
@pytest.mark.parametrize("code", [CLUSTER, WEB], ids=["cluster", "web"])
def test_what_a_start_does_not_need_is_not_loaded(code: str) -> None:
    settings = {"DJANGO_SETTINGS_MODULE": "chatflow.settings", "DATABASE_URL": "sqlite://:memory:"}
    program = [sys.executable, "-c", code]
    done = subprocess.run(
        program, env=os.environ | settings, capture_output=True, text=True, check=True
    )
    assert done.stdout == "\n"


def test_a_module_is_missing_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "this", raising=False)
    with without("this"), pytest.raises(ModuleNotFoundError):
        importlib.import_module("this")
    assert "this" not in sys.modules
    with without("os"):
        assert importlib.import_module("os") is os


def test_a_module_is_loaded_by_its_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    with deferred("colorsys"):
        grey = importlib.import_module("colorsys").rgb_to_hls
    assert "colorsys" not in sys.modules
    assert grey(0.5, 0.5, 0.5) == (0.0, 0.5, 0.0)
    assert "colorsys" in sys.modules
    with deferred("os"):
        assert importlib.import_module("os") is os
