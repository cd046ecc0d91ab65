"""Doorbells: "there are newer rows". A ring says where to look, never what is there.

A lost ring costs its listeners a moment, no more: each of them also looks by itself from time to
time. Four topics are rung: ``events`` (a job has newer events; key: the job), ``jobs`` (one can be
claimed), ``due`` (something was put off until a time of its own) and ``cancel`` (a job is to stop;
key: the job).
"""

import functools

from django.conf import settings
from django.db import connection

from workflows.bells.base import Bell, Ear, OnRing, Subscription

__all__ = ["Bell", "Ear", "OnRing", "Subscription", "get_bell"]


def get_bell() -> Bell:
    """Return the doorbell: Redis where the queue is configured to use it, else the database's."""
    redis_url = settings.REDIS_URL if settings.QUEUE_CONNECTION == "redis" else ""
    return _make_bell(connection.vendor, redis_url)


@functools.cache
def _make_bell(vendor: str, redis_url: str) -> Bell:
    if redis_url:
        from workflows.bells.redis import RedisBell

        return RedisBell(redis_url)
    if vendor == "postgresql":
        from workflows.bells.postgres import PostgresBell

        return PostgresBell()
    from workflows.bells.sqlite import SQLiteBell

    return SQLiteBell()
