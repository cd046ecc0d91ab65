"""What the models declare is what the migrations have made of the database."""

import pytest
from django.apps import apps
from django.db import connection
from django.db.models import ForeignKey, Model

from chatflow.workflows.models import Cluster, Job, Session

pytestmark = pytest.mark.django_db

# Columns that came later than the tables.
ADDED = {Job: ("worker", "tenant"), Session: ("tenant",), Cluster: ("place", "began")}
MODELS = [*apps.get_app_config("chatflow_workflows").get_models()]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_the_database_has_what_the_model_declares(model: type[Model]) -> None:
    """A migration that alters a column can take a constraint along, and no check of Django sees."""
    with connection.cursor() as cursor:
        found = connection.introspection.get_constraints(cursor, model._meta.db_table)

    declared = {each.name for each in (*model._meta.indexes, *model._meta.constraints)}
    assert declared <= found.keys()
    keys = [field for field in model._meta.concrete_fields if isinstance(field, ForeignKey)]
    alone = {
        field.column
        for field in keys
        for name, each in found.items()
        if (each["index"] or each["unique"]) and each["columns"] == [field.column]
        if name not in declared
    }
    # django-stubs doesn't know the attribute.
    assert alone == {field.column for field in keys if field.db_index}  # type: ignore[attr-defined]


@pytest.mark.parametrize("model", ADDED, ids=lambda model: model.__name__)
def test_processes_of_the_version_before_can_go_on_to_store_rows(model: type[Model]) -> None:
    """They don't know the columns that a migration has added under them."""
    for name in ADDED[model]:
        field = model._meta.get_field(name)
        assert field.null or field.has_db_default()  # type: ignore[union-attr]
