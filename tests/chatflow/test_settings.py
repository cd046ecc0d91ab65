"""The settings, as a process reads them when it starts."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.test import RequestFactory
from knox.settings import knox_settings
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

ROOT = Path(__file__).resolve().parent.parent.parent
PRINT = "from chatflow import settings; print(settings.DATABASES['default']['NAME'])"


def read_name(url: str, folder: Path) -> str:
    """Return the database's name, as a process has it that is started in *folder*."""
    environment = {**os.environ, "DATABASE_URL": url, "PYTHONPATH": str(ROOT)}
    started = subprocess.run(
        [sys.executable, "-c", PRINT],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return started.stdout.strip()


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("sqlite:///chat.sqlite3", str(ROOT / "chat.sqlite3")),
        ("sqlite:///data/chat.sqlite3", str(ROOT / "data/chat.sqlite3")),
        ("sqlite:////var/lib/chat.sqlite3", "/var/lib/chat.sqlite3"),
        ("sqlite://:memory:", ":memory:"),
    ],
)
def test_a_relative_path_is_one_beside_manage_py(url: str, name: str, tmp_path: Path) -> None:
    """Else a web server and a cluster that start in two folders would work on two files."""
    assert read_name(url, tmp_path) == name


@pytest.mark.parametrize(
    ("program", "wrong", "sentence"),
    [
        ("manage.py", "PORT=99999999", "PORT must be at most 65535, not '99999999'"),
        ("chatflow.asgi", "WORKFLOW_TRIES=x", "WORKFLOW_TRIES must be a number, not 'x'"),
    ],
)
def test_a_wrong_value_is_one_sentence(
    tmp_path: Path, program: str, wrong: str, sentence: str
) -> None:
    file = tmp_path / ".env"
    file.write_text(f"DEBUG=false\n{wrong}\n")
    command = [program, "check"] if program.endswith(".py") else ["-c", f"import {program}"]
    environment = {**os.environ, "ENV_FILE": str(file)}
    started = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    name = program.removesuffix(".asgi")
    assert (started.returncode, started.stdout) == (1, "")
    assert started.stderr == f"{name}: {sentence} (line 2 of {file}).\n"


class TeamView(APIView):
    """One that a team adds to the checkout, and that says nothing of who may come in."""

    def get(self, request: Request) -> Response:
        return Response({"secret": "ours"})


def test_a_view_of_a_team_is_as_closed_as_the_api() -> None:
    answer = TeamView.as_view()(RequestFactory().get("/reports/", headers={"Accept": "text/html"}))
    answer.render()
    assert (answer.status_code, answer["WWW-Authenticate"]) == (401, "Bearer")
    assert b'"code":"unauthenticated"' in answer.content
    assert knox_settings.AUTH_HEADER_PREFIX == "Bearer"
