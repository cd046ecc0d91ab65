"""The view makes the queries that it is told to, through the ORM, on a plain table of Django's."""

import os
from collections.abc import Callable
from itertools import count
from typing import Any
from uuid import uuid4

from django.contrib.auth.models import Group
from django.db import transaction
from django.urls import path
from rest_framework.decorators import api_view
from rest_framework.request import Request
from rest_framework.response import Response

# The first words of the queries to make.
QUERIES = os.environ["QUERIES"].split(",")

rows = count(1)


def begin() -> None:
    transaction.set_autocommit(False)


def commit() -> None:
    transaction.commit()
    transaction.set_autocommit(True)


def insert() -> None:
    Group.objects.create(name=uuid4().hex)


def update() -> None:
    Group.objects.filter(pk=next(rows)).update(name=uuid4().hex)


def select() -> None:
    Group.objects.filter(pk=next(rows)).first()


# A query that isn't listed costs as much as a SELECT of one row.
VERBS: dict[str, Callable[[], Any]] = {
    "BEGIN": begin,
    "COMMIT": commit,
    "INSERT": insert,
    "UPDATE": update,
    "WITH": insert,
}


@api_view(["POST"])
def send(request: Request) -> Response:
    for verb in QUERIES:
        VERBS.get(verb, select)()
    data: Any = request.data
    return Response({"success": True, "message": data["message"]})


urlpatterns = [path("send", send)]
