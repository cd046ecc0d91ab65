"""The versions that Chatflow runs on: ``nox`` runs the unit tests on all that this machine has.

It's no part of ``make test``: it needs nox and uv, and each session takes minutes::

    nox                                                # SQLite
    nox --session "tests(python='3.13', django='6.1')" # one of them
    POSTGRES_VERSION=16 nox                            # PostgreSQL 16, of Debian's packages
"""

import os

import nox

PYTHONS = ("3.11", "3.12", "3.13", "3.14")
DJANGOS = ("5.2", "6.0", "6.1")
# Django 6 needs Python 3.12.
PAIRS = [
    (python, django)
    for python in PYTHONS
    for django in DJANGOS
    if python != "3.11" or django == "5.2"
]

nox.options.default_venv_backend = "uv"
nox.options.error_on_missing_interpreters = False


@nox.session
@nox.parametrize(("python", "django"), PAIRS)
def tests(session: nox.Session, django: str) -> None:
    """Run the unit tests with the pinned packages, but for Django."""
    session.install("-r", "pins-dev.txt")
    session.install(f"Django~={django}.0")
    command = ["python", "-m", "pytest", "--ignore=tests/acceptance", *session.posargs]
    if "POSTGRES_VERSION" in os.environ:
        command = ["python", "-m", "tests.servers", "postgres", "--", *command]
    checks = {"ENV_FILE": os.devnull, "SECRET_KEY": "only-for-the-checks"}
    session.run(*command, env=checks)
