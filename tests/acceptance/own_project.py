"""A team's own Django project, in which docs/install.md is followed."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.acceptance.markdown import block
from tests.acceptance.nursery import INHERITED
from tests.acceptance.processes import ROOT, SECONDS, Process, Site
from tests.servers import HOST, free_port

INSTALL = ROOT / "docs" / "install.md"
# Who signs in by an e-mail address, and by a badge too.
ALICE = "alice@example.com"

PEOPLE = {
    "models": '''
import uuid

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.db import models


class People(BaseUserManager):
    def create_superuser(self, email, password):
        person = self.model(email=email, badge="B-1", is_staff=True, is_superuser=True)
        person.set_password(password)
        person.save()
        return person


class Person(AbstractBaseUser, PermissionsMixin):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    email = models.EmailField(unique=True)
    badge = models.CharField(max_length=20, unique=True)
    is_staff = models.BooleanField(default=False)
    objects = People()
    USERNAME_FIELD = EMAIL_FIELD = "email"


class Job(models.Model):
    """What Chatflow has too, under names of its own."""

    owner = models.ForeignKey(Person, models.CASCADE, related_name="jobs")
''',
    # Behind the one that the page shows.
    "workflows": """

def wait(name):
    import os, pathlib, time

    gates = pathlib.Path(os.environ["ACCEPTANCE_GATES"])
    with (gates / f"{name}.visits").open("a") as visits:
        visits.write(".")
    while (gates / f"{name}.closed").exists():
        time.sleep(0.01)


@workflow("patient", triggers=["be patient"], steps=2)
def patient(ctx: Context):
    ctx.step("First", wait, "first")
    ctx.step("Second", wait, "second")
    return f"Patient for {ctx.user.email}."
""",
}
SETTINGS = """
AUTH_USER_MODEL = "people.Person"
INSTALLED_APPS += ["people"]
REST_FRAMEWORK = {"DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAdminUser"]}
LANGUAGE_CODE = "de"
TIME_ZONE = "Asia/Tokyo"
"""


def build_wheel(folder: Path) -> Path:
    """Build the package, and return its wheel."""
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", f"--outdir={folder}"]
    subprocess.run([*command, str(ROOT)], check=True, capture_output=True)
    [wheel] = folder.glob("*.whl")
    return wheel


def make_environment(folder: Path) -> Path:
    """Make a virtual environment that has this suite's packages; return its Python.

    To install them anew would take minutes and the network. This checkout isn't among them.
    """
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    python = folder / "bin" / "python"
    show = "import sysconfig; print(sysconfig.get_path('purelib'))"
    own = subprocess.run([python, "-c", show], check=True, capture_output=True, text=True).stdout
    Path(own.strip(), "suite.pth").write_text(sysconfig.get_path("purelib"))
    return python


def shown(heading: str, language: str, number: int = 0) -> str:
    """Return what the page shows under a heading."""
    return block(INSTALL, heading, language, number)


class OwnProject(Site):
    """A project with a user model and an authentication of its own.

    Args:
        database_url: an empty database; that of SQLite is the project's own.
        python: of the environment that Chatflow is installed in.
    """

    application = "mysite.asgi:application"
    base = "/team/assistant"

    def __init__(self, database_url: str, python: Path) -> None:
        super().__init__(database_url)
        self.root = self.folder / "project"
        self.root.mkdir()
        self.database_url = database_url or f"sqlite:///{self.root / 'db.sqlite3'}"
        self.python = str(python)
        self.env = {name: os.environ[name] for name in INHERITED if name in os.environ} | {
            "PATH": f"{python.parent}:{os.environ['PATH']}",
            "ACCEPTANCE_GATES": str(self.gates),
            "DJANGO_SUPERUSER_PASSWORD": "alice",
            "PYTHONUNBUFFERED": "1",
        }

    def shell(self, code: str) -> str:
        """Run what a person types, in the project's folder; return what it says."""
        done = subprocess.run(
            ["bash", "-euc", code],
            cwd=self.root,
            env=self.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"{code}\n{done.stdout}{done.stderr}"
        return done.stdout

    def begin(self) -> None:
        """Do what the team has done before: a project, and an app with its users."""
        self.shell("python -m django startproject mysite .")
        people = self.root / "people"
        people.mkdir()
        for name, code in {"__init__": "", **PEOPLE}.items():
            (people / f"{name}.py").write_text(code)
        self.append("settings", SETTINGS)

    def append(self, module: str, code: str) -> None:
        with (self.root / "mysite" / f"{module}.py").open("a") as file:
            file.write(f"\n{code}")

    def follow(self) -> None:
        """Do what docs/install.md says, to the tables and the first user."""
        self.append("settings", shown("2. Name it in the settings", "python"))
        self.append("settings", self.database())
        self.append("settings", shown("Your own authentication", "python"))
        people = self.root / "people"
        (people / "badges.py").write_text(shown("Your own authentication", "python", 1))
        own = (people / "workflows.py").read_text()
        (people / "workflows.py").write_text(shown("Your first workflow", "python") + own)
        for name, heading in (
            ("urls", "3. Include it in the addresses"),
            ("asgi", "4. Let it stream"),
        ):
            (self.root / "mysite" / f"{name}.py").write_text(shown(heading, "python"))
        self.shell("python manage.py makemigrations people")
        commands = shown("5. Run it", "bash").replace(
            "createsuperuser", f"createsuperuser --no-input --email={ALICE}"
        )
        assert "System check identified no issues" in self.shell(commands)

    def database(self) -> str:
        """Return the lines of the settings that are about it."""
        if self.is_sqlite:
            return shown("The database", "python")
        code = shown("The database", "python", 1)
        url = urlsplit(self.database_url)
        own = {"NAME": url.path[1:], "USER": url.username, "PORT": url.port}
        for name, value in own.items():
            code = code.replace(f'"{name}": "mysite"', f'"{name}": "{value}"')
            code = code.replace(f'"{name}": "5432"', f'"{name}": "{value}"')
        return code

    def token(self, user: str) -> str:
        if user not in self._tokens:
            command = shown("5. Run it", "bash", 3).replace("YOUR_USER", user)
            self._tokens[user] = self.shell(command).split()[-1]
        return self._tokens[user]

    def start_web(self, *options: str, port: int | None = None, **env: Any) -> Process:
        """Start uvicorn as the page does."""
        port = port or free_port()
        command = [self.python, "-m", *shown("On a server", "bash").split()]
        return self.serve("web", [*command, f"--port={port}", *options], port, **env)

    def start_runserver(self) -> Process:
        port = free_port()
        command = shown("5. Run it", "bash", 1).split()[1:]
        return self.serve("runserver", [self.python, *command, f"{HOST}:{port}"], port)

    def start_cluster(self, *options: str, **env: Any) -> Process:
        command = shown("5. Run it", "bash", 2).split()[1:]
        return self.start("cluster", [self.python, *command, *options], **env)

    def start_wsgi(self) -> Process:
        """Start a server that knows WSGI only."""
        port = free_port()
        code = (
            "from wsgiref.simple_server import make_server; from mysite.wsgi import application;"
            f" make_server('{HOST}', {port}, application).serve_forever()"
        )
        return self.serve("wsgi", [self.python, "-c", code], port)
