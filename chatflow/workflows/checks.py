"""Checks that report a wrong configuration at the start, with a hint."""

import sys
from collections.abc import Iterator, Sequence
from typing import Any

import django
from django.apps import AppConfig, apps
from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error, register
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from chatflow.conf import conf, place
from chatflow.workflows.ai import model_settings, names
from chatflow.workflows.bells import QUEUE_BELLS
from chatflow.workflows.registry import Workflow, all_workflows
from chatflow.workflows.running.routing import find_trigger

# The tag of those that are about HTTP: a cluster does without, and without all that they import.
HTTP = "chatflow_http"
BACKEND = "chatflow.workflows.tasks.backend.Backend"


@register
def check_queue_connection(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """Refuse a QUEUE_CONNECTION that there is no queue for."""
    supported = sorted({"database", "sync", *QUEUE_BELLS})
    if conf.QUEUE_CONNECTION not in supported:
        return [
            Error(
                f"QUEUE_CONNECTION={conf.QUEUE_CONNECTION} is not supported"
                f" ({place('QUEUE_CONNECTION')}).",
                hint=f"Use one of: {', '.join(supported)}.",
                id="workflows.E001",
            )
        ]
    if conf.QUEUE_CONNECTION == "redis" and not conf.REDIS_URL:
        return [
            Error(
                "QUEUE_CONNECTION=redis needs a REDIS_URL.",
                hint="Set REDIS_URL, for example to redis://localhost:6379/0.",
                id="workflows.E002",
            )
        ]
    return []


@register
def check_models(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Refuse the name of a model that isn't available."""
    hint = "Name it provider:model, such as openai:gpt-5-mini, or set AI_MODEL=offline."
    given = {
        "AI_MODEL": [conf.AI_MODEL],
        "AI_FALLBACK_MODELS": conf.AI_FALLBACK_MODELS,
        "AI_ALLOWED_MODELS": conf.AI_ALLOWED_MODELS,
    }
    for setting, models in given.items():
        try:
            names.check(models)
        except ImproperlyConfigured as error:
            text = f"{setting} is wrong ({place(setting)}): {error}"
            return [Error(text, hint=hint, id="workflows.E003")]
    return []


@register
def check_model_keys(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Warn of models whose provider would refuse the first call, for want of a key."""
    # A project's own tests ask no provider.
    if sys.argv[1:2] == ["test"]:
        return []
    named = {
        "AI_MODEL": [conf.AI_MODEL],
        "AI_FALLBACK_MODELS": conf.AI_FALLBACK_MODELS,
        "AI_ALLOWED_MODELS": conf.AI_ALLOWED_MODELS,
        "AI_EMBEDDING_MODEL": [conf.AI_EMBEDDING_MODEL],
    }
    return [
        checks.Warning(
            f"{setting} names {name!r} ({place(setting)}), which can't be called without a key.",
            hint=f"Set {key} in the environment of the web server and of the cluster.",
            id="workflows.W003",
        )
        for setting, models in named.items()
        for name in models
        if (key := names.missing_key(name))
    ]


@register
def check_tasks(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Refuse TASKS of the backport without its app, whose own check would say so."""
    backends = [each.get("BACKEND") for each in getattr(settings, "TASKS", {}).values()]
    if django.VERSION >= (6,) or BACKEND not in backends or apps.is_installed("django_tasks"):
        return []
    return [
        Error(
            f"TASKS names {BACKEND}, which needs django-tasks with Django {django.__version__}.",
            hint='pip install django-tasks, and write "django_tasks" into INSTALLED_APPS.',
            id="workflows.E005",
        )
    ]


@register
def check_task_functions(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """Warn of functions that aren't there; a task that names one fails each time.

    The site starts all the same: such a task may be left over from a function that is gone.
    """
    missing = [name for name in conf.TASK_FUNCTIONS if not _is_function(name)]
    return [
        checks.Warning(
            f"TASK_FUNCTIONS names {name!r}, but there is no such function"
            f" ({place('TASK_FUNCTIONS')}).",
            hint="Write its dotted name, such as team.tasks.send_report.",
            id="workflows.W001",
        )
        for name in missing
    ]


@register
def check_model_settings(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """Refuse settings that no model has."""
    if not conf.AI_SETTINGS:
        # To know what is right takes pydantic a while, at each start.
        return []
    try:
        model_settings.check(conf.AI_SETTINGS)
    except ValueError as error:
        known = ", ".join(model_settings.ModelSettings.__annotations__)
        hint = f"There are {known}; what only a provider knows goes into extra_body."
        text = f"AI_SETTINGS is wrong ({place('AI_SETTINGS')}): {error}"
        return [Error(text, hint=hint, id="workflows.E004")]
    return []


@register
def check_triggers(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Warn of triggers that start another workflow, in whatever message they stand."""
    return [
        message
        for workflow in all_workflows()
        for trigger in workflow.triggers
        for message in _check_trigger(workflow, trigger)
    ]


def _check_trigger(workflow: Workflow, trigger: str) -> Iterator[CheckMessage]:
    # Whatever is found in the trigger itself is found wherever that stands.
    found = find_trigger(trigger, all_workflows())
    if found is None or found[0] == workflow:
        return
    other, earlier = found
    yield checks.Warning(
        f"The trigger {trigger!r} never starts the workflow {workflow.name!r}"
        f" ({workflow.place}): the trigger {earlier!r} of {other.name!r} ({other.place})"
        " comes first, as the workflows do by their names.",
        hint="Take other words for one of them, or let their names be in the other order.",
        id="workflows.W002",
    )


def _is_function(name: str) -> bool:
    try:
        return callable(import_string(name))
    except ImportError:
        return False
