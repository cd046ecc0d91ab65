"""Doorbells: "there are newer rows". A ring says where to look, never what is there.

A lost ring costs its listeners a moment, no more: each of them also looks by itself from time to
time. Six topics are rung: ``events`` (a job has newer events; key: the job), ``jobs`` (one can be
claimed), ``async_jobs`` (one of the kind that runs beside others can be claimed), ``due``
(something was put off until a time of its own), ``cancel`` (a job is to stop; key: the job) and
``sessions`` (a conversation of a user's has changed; key: user_key()).
"""

import functools
import zlib
from typing import Any

from django.utils.module_loading import import_string

from chatflow.conf import conf
from chatflow.workflows.bells.base import Bell, Ear, OnRing, Ring, Subscription
from chatflow.workflows.db import connection

__all__ = ["Bell", "Ear", "OnRing", "Ring", "Subscription", "get_bell", "user_key"]

# A new bell is a file in this folder, a line here, and tests that inherit
# tests/workflows/bells/contract.py.
# The bells that are chosen by QUEUE_CONNECTION:
QUEUE_BELLS = {
    "redis": "chatflow.workflows.bells.redis.RedisBell",
}
# and those that serve where none is, by the database's vendor:
DATABASE_BELLS = {
    "postgresql": "chatflow.workflows.bells.postgres.PostgresBell",
    "sqlite": "chatflow.workflows.bells.sqlite.SQLiteBell",
}


def get_bell() -> Bell:
    """Return the doorbell: the queue's own if it has one, else the database's."""
    own = QUEUE_BELLS.get(conf.QUEUE_CONNECTION)
    return _made(own or DATABASE_BELLS[connection.vendor])


def user_key(user: Any) -> int:
    """Return the key to ring for a user by; two users may share one.

    Args:
        user: the user's primary key, of whatever type.
    """
    return zlib.crc32(str(user).encode())


@functools.cache
def _made(path: str) -> Bell:
    bell: type[Bell] = import_string(path)
    return bell.from_settings()
