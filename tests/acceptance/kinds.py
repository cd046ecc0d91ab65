"""Marks of tests that run on one kind of database, as what they show has nothing to do with it."""

import pytest

on_sqlite, on_postgres = (
    pytest.mark.parametrize("kind", [kind], indirect=True, scope="session")
    for kind in ("sqlite", "postgres")
)
