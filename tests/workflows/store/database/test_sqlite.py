"""SQLite keeps the contract."""

import pytest

from tests.workflows.store.database.contract import DatabaseContract
from workflows.store.database.sqlite import SQLite

pytestmark = [pytest.mark.sqlite, pytest.mark.django_db]


class TestSQLite(DatabaseContract):
    kind = SQLite
