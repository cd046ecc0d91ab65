"""What ``manage.py check --deploy`` finds, and what deploy.md says of it."""

import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.checks import ERROR

from chatflow.project import site_checks
from chatflow.project.site_checks import (
    check_database_file,
    check_known_passwords,
    check_names_of_settings,
)
from tests.conftest import make_user

pytestmark = pytest.mark.django_db

ROOT = Path(__file__).resolve().parents[3]


def found() -> list[str]:
    refusals = check_known_passwords(None)
    assert all((each.id, each.level) == ("chatflow.E001", ERROR) for each in refusals)
    return [re.findall(r"'(\w+)'", each.msg)[0] for each in refusals]


def test_it_works(alice: User) -> None:
    assert found() == []
    User.objects.create_user("demo", password="demo")
    User.objects.create_superuser("admin", password="admin")
    assert found() == ["demo", "admin"]


def test_staff_with_their_names_for_passwords() -> None:
    User.objects.create_superuser("boss", password="boss")
    User.objects.create_user("bob", password="bob")
    assert found() == ["boss"]


def test_others_are_left_in_peace() -> None:
    make_user("demo")
    User.objects.create_superuser("admin", password="of my own")
    User.objects.create_user("test", password="test", is_active=False)
    assert found() == []


def test_a_database_that_is_not_there(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from django.db import OperationalError

    def away(name: str) -> None:
        raise OperationalError

    monkeypatch.setattr("chatflow.project.site_checks.find_user", away)
    assert found() == []


@pytest.mark.parametrize(("mode", "warned"), [(0o600, False), (0o640, True), (0o644, True)])
def test_a_file_that_others_can_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int, warned: bool
) -> None:
    file = tmp_path / "db.sqlite3"
    file.touch()
    file.chmod(mode)
    site = SimpleNamespace(vendor="sqlite", settings_dict={"NAME": str(file)})
    monkeypatch.setattr(site_checks, "connection", site)
    assert [each.id for each in check_database_file(None)] == ["chatflow.W001"] * warned
    file.unlink()
    assert check_database_file(None) == []


@pytest.mark.sqlite
def test_a_name_that_is_nearly_right_and_one_that_stands_twice(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("DEBUG=false\nQUEUE_WORKRES=4\nTEAM_COLOUR=red\nDEBUG=false\n")
    done = subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=ROOT,
        env={**os.environ, "ENV_FILE": str(file)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == (
        "System check identified some issues:\n\nWARNINGS:\n"
        f"?: (chatflow.W002) There is no setting QUEUE_WORKRES (line 2 of {file}).\n"
        "\tHINT: Write QUEUE_WORKERS.\n"
        f"?: (chatflow.W004) Line 1 sets DEBUG in vain: it stands once more (line 4 of {file}).\n"
        "\tHINT: Put what is meant on one line, and delete the other one.\n\n"
        "System check identified 2 issues (0 silenced).\n"
    )


def test_all_settings_have_right_names() -> None:
    assert check_names_of_settings(None) == []


@pytest.mark.sqlite
def test_deploy_md_names_all_that_is_left(tmp_path: Path) -> None:
    """With the settings of that page; the database is another one, as it isn't about that."""
    page = (ROOT / "docs" / "deploy.md").read_text()
    block = next(
        each for each in re.findall(r"```bash\n(.*?)```", page, re.S) if "SECRET_KEY=" in each
    )
    settings = dict(re.findall(r"^([A-Z_]+)=(.*)$", block, re.M))
    settings["SECRET_KEY"] = "abcdefghijklmnopqrstuvwxyz" * 2
    settings["DATABASE_URL"] = f"sqlite:///{tmp_path / 'db.sqlite3'}"

    def manage(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], "ENV_FILE": os.devnull, **settings},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stderr

    manage("migrate", "--verbosity=0")
    warned = re.findall(r"^\?: \(\w+\.(W\d+)\)", manage("check", "--deploy"), re.M)
    [sentence] = re.findall(r"`check --deploy` warns of (\w+) things?[^:]*:(.*?)\n\n", page, re.S)
    count = ("no", "one", "two", "three", "four", "five").index(sentence[0])
    assert sorted(re.findall(r"W\d+", sentence[1])) == sorted(warned)
    assert len(warned) == count
