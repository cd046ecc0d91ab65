"""Doorbells: "there are newer rows". A ring says where to look, never what is there.

A lost ring costs its listeners a moment, no more: each of them also looks by itself from time to
time. Three topics are rung: ``events`` (a job has newer events; key: the job), ``jobs`` (something
can be claimed; key: the job) and ``cancel`` (a job is to stop; key: the job).
"""

from django.db import connection

from workflows.bells.base import Bell, OnRing, Subscription

__all__ = ["Bell", "OnRing", "Subscription", "get_bell"]


def get_bell() -> Bell:
    """Return the doorbell of the configured database."""
    if connection.vendor == "postgresql":
        from workflows.bells.postgres import PostgresBell

        return PostgresBell()
    from workflows.bells.sqlite import SQLiteBell

    return SQLiteBell()
