"""The history of before rows were called by their keys."""

from importlib import import_module
from types import SimpleNamespace

import pytest
from django.apps import apps
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.db import connection

from chatflow.workflows.knowledge.models import Document
from chatflow.workflows.models import Job

MIGRATION = import_module("chatflow.operations.migrations.0004_history")


@pytest.mark.django_db
def test_words_are_taken_out_of_it(alice: User) -> None:
    for model, called in ((Document, "Salaries.pdf"), (Job, "workflow_1")):
        LogEntry.objects.create(
            user=alice,
            content_type=ContentType.objects.get_for_model(model),
            object_id="7",
            object_repr=called,
            action_flag=CHANGE,
        )
    MIGRATION.forward(apps, SimpleNamespace(connection=connection))

    assert set(LogEntry.objects.values_list("object_repr", flat=True)) == {"7", "workflow_1"}
