"""Q_CLUSTER, where the project writes none."""

from typing import Any

from django.conf import settings

from chatflow.conf import DECLARED, WrongValue, conf
from chatflow.workflows.db import alias

BROKER = "chatflow.workflows.cluster.broker.JobBroker"


def set_defaults() -> bool:
    """Write a Q_CLUSTER where there is none; django-q2 reads it when it is imported.

    One that is there stays as it is: see cluster/checks.py.

    Returns:
        Whether one was written.
    """
    if hasattr(settings, "Q_CLUSTER"):
        return False
    settings.Q_CLUSTER = make()
    return True


def name_database() -> None:
    """Write into that Q_CLUSTER which database is ours: routers know it once all models are there.

    django-q2 looks when it asks for a message.
    """
    from django_q.conf import Conf

    Conf.ORM = alias()
    settings.Q_CLUSTER = {**make(), "orm": Conf.ORM}


def make() -> dict[str, Any]:
    """Return a Q_CLUSTER for Chatflow alone."""
    return {
        "name": "chatflow",
        "orm": "default",
        "workers": _workers(),
        "broker_class": BROKER,
        # Workers fetch for themselves: nothing is prefetched, so nothing prefetched can be lost.
        "queue_limit": 1,
        "bulk": 1,
        "poll": 1.0,
        "guard_cycle": 0.2,
        # These two bind ordinary django-q2 tasks only. A workflow's job has a lease that is renewed
        # and a deadline of its own.
        "timeout": 3600,
        "retry": 3660,
        "max_attempts": 1,
        "ack_failures": True,
        "save_limit": -1,
        "catch_up": False,
        "recycle": 5000,
    }


def _workers() -> int:
    try:
        return conf.QUEUE_WORKERS
    except WrongValue:
        # The check of the settings says so, once all apps are there.
        return int(DECLARED["QUEUE_WORKERS"].value)
