"""What the models declare is what the migrations have made of the database."""

import pytest
from django.apps import apps
from django.db import connection
from django.db.models import ForeignKey, Model

pytestmark = pytest.mark.django_db

MODELS = [*apps.get_app_config("workflows").get_models()]


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
        if each["index"] and each["columns"] == [field.column] and name not in declared
    }
    # django-stubs doesn't know the attribute.
    assert alone == {field.column for field in keys if field.db_index}  # type: ignore[attr-defined]
