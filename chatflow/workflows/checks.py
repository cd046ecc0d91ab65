"""Checks that report a wrong configuration at the start, with a hint."""

from collections.abc import Iterator, Sequence
from typing import Any

from django.apps import AppConfig
from django.core import checks
from django.core.checks import CheckMessage, Error, register
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from chatflow.conf import conf, place
from chatflow.workflows.ai import model_settings, names
from chatflow.workflows.bells import QUEUE_BELLS
from chatflow.workflows.registry import Workflow, all_workflows
from chatflow.workflows.running.routing import find_trigger


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
