"""Checks of a Q_CLUSTER that the project has written itself."""

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.core.checks import CheckMessage, Error, register
from django_q.conf import Conf

from chatflow.workflows.cluster.defaults import BROKER
from chatflow.workflows.db import alias


@register
def check_cluster(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Refuse a Q_CLUSTER with which jobs would not run, or tasks would run twice."""
    needed = {
        "broker_class": (Conf.BROKER_CLASS, BROKER),
        "orm": (Conf.ORM, alias()),
        "max_attempts": (Conf.MAX_ATTEMPTS, 1),
        "ack_failures": (Conf.ACK_FAILURES, True),
    }
    found: list[CheckMessage] = [
        Error(
            f"Chatflow's cluster can't work with Q_CLUSTER[{key!r}], which is {value!r}.",
            hint=f'Write "{key}": {wanted!r} into Q_CLUSTER, or leave Q_CLUSTER out.',
            id="chatflow.E010",
        )
        for key, (value, wanted) in needed.items()
        if value != wanted
    ]
    return found
