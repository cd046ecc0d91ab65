"""What is said where the start fails by somebody's mistake: a few lines, no long traceback."""

import importlib
import sys
import threading
import traceback

from django.core.management import ManagementUtility
from django.core.management.base import BaseCommand, SystemCheckError
from django.utils import module_loading

from chatflow.environment import WrongSetting
from chatflow.workflows.exceptions import WrongWorkflow
from chatflow.workflows.loading import keep_loaded
from chatflow.workflows.registry import discover

# Frames of these files tell an author nothing.
LOADERS = ("<frozen importlib", importlib.__file__, module_loading.__file__)


class Utility(ManagementUtility):
    """Django's, for a process that doesn't look for garbage while it loads the apps."""

    def fetch_command(self, subcommand: str) -> BaseCommand:
        """Return the command, which is asked for when all apps are there."""
        command = super().fetch_command(subcommand)
        keep_loaded()
        return command


def describe(error: BaseException | None) -> str | None:
    """Return what whoever has made a mistake is told; None for any other error."""
    if isinstance(error, WrongSetting | WrongWorkflow | SystemCheckError):
        return str(error)
    return _describe_import(error) if error is not None else None


def tell_in_threads(program: str) -> None:
    """Say it for `manage.py runserver` too, which starts its server in a thread.

    Args:
        program: the name to say it under.
    """

    def tell(args: threading.ExceptHookArgs) -> None:
        told = describe(args.exc_value)
        if told is None:
            threading.__excepthook__(args)
        else:
            print(f"{program}: {told}", file=sys.stderr, flush=True)

    threading.excepthook = tell


def _describe_import(error: BaseException) -> str | None:
    """Return the author's part of a traceback, where a module of workflows can't be imported."""
    codes = [frame.f_code for frame, _ in traceback.walk_tb(error.__traceback__)]
    if discover.__code__ not in codes:
        return None
    told = traceback.TracebackException.from_exception(error)
    behind = told.stack[codes.index(discover.__code__) + 1 :]
    own = [frame for frame in behind if not frame.filename.startswith(LOADERS)]
    told.stack = traceback.StackSummary.from_list(own)
    return f"The workflows of an app can't be imported.\n{''.join(told.format()).rstrip()}"
