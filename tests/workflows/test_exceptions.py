"""What the log says of a database's errors."""

import pytest
from django.db import OperationalError, ProgrammingError

from chatflow.workflows.exceptions import advice


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            OperationalError("no such table: workflows_job"),
            "no such table: workflows_job: run manage.py migrate",
        ),
        (
            ProgrammingError('relation "workflows_job" does not exist\nLINE 1: SELECT'),
            'relation "workflows_job" does not exist: run manage.py migrate',
        ),
        (OperationalError("connection refused"), "connection refused"),
    ],
)
def test_a_missing_table_is_to_be_migrated(error: Exception, told: str) -> None:
    assert advice(error) == told
