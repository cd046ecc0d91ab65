"""SQLite's full-text index keeps the contract."""

import pytest

from chatflow.workflows.knowledge.fulltext.sqlite import Sqlite
from tests.workflows.knowledge.contract import FullTextContract

pytestmark = pytest.mark.sqlite


class TestSqlite(FullTextContract):
    used = "VIRTUAL TABLE INDEX"

    def index(self) -> Sqlite:
        return Sqlite()

    def plan(self) -> str:
        return self.explained("EXPLAIN QUERY PLAN")
