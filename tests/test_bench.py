"""The bench: its table, its figures, and the used database that it makes."""

import itertools
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import psycopg
import pytest

from bench import grown, ratio
from bench.__main__ import FIGURES, measure
from bench.ratio import Comparison, Samples, compare
from bench.site import Site, python
from bench.stage import Stage
from bench.table import Line, line, render
from tests.servers import Postgres

PAGE = Path(__file__).resolve().parent.parent / "docs" / "performance.md"
# Enough for several sessions and each kind of job.
JOBS = 60

# Without a rest: nobody else is there.
PRUNE = """
import django
django.setup()
from chatflow.workflows.store import pruning
pruning.REST = 0
print(pruning.prune(days=0))
"""
# By name: PostgreSQL words a condition differently once it has parsed its own wording.
INDEXES = """
    SELECT array_agg(indexname ORDER BY indexname) FROM pg_indexes WHERE schemaname = 'public'
"""
UNLIKE_ITS_LOG = """
    SELECT count(*) FROM workflows_job job
    WHERE last_seq <> (SELECT count(*) FROM workflows_event WHERE job_id = job.id)
       OR state <> (SELECT type FROM workflows_event WHERE job_id = job.id AND seq = last_seq)
"""
IN_ANOTHERS_SESSION = """
    SELECT count(*) FROM workflows_job JOIN workflows_session ON workflows_session.id = session_id
    WHERE workflows_session.user_id <> workflows_job.user_id
"""


def test_it_works() -> None:
    held = line("pickup", 5, "ms", peer=4, peer_name="bare", bar="≤ 2× peer", held=True)
    assert held == Line("pickup", "5.00 ms", "4.00 ms bare", "1.25×", "≤ 2× peer", "ok")
    assert not held.missed
    assert line("pickup", 5, "ms", held=False).missed
    assert not line("pickup", 5, "ms").missed


def test_the_table_is_markdown() -> None:
    head, rule, row = render([line("jobs", 1234.5, "/s")]).splitlines()
    assert [cell.strip() for cell in head.split("|")][1:3] == ["figure", "value"]
    assert set(rule) == {"|", "-", " "}
    assert [cell.strip() for cell in row.split("|")][1:-1] == ["jobs", "1,234 /s", *"––––"]


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_can_be_measured_and_is_explained(name: str) -> None:
    assert callable(import_module(f"bench.figures.{name}").measure)
    assert f"`{name}`" in PAGE.read_text()


def test_a_figure_that_breaks_is_a_miss(capsys: pytest.CaptureFixture[str]) -> None:
    (broken,) = measure(cast(Stage, None), ["live"])
    assert broken.missed
    assert broken.figure == "live"
    assert "Traceback" in capsys.readouterr().err


def make_rounds(calls: list[str], who: str, *values: float) -> Callable[[], Samples]:
    """Return a function that measures these values, one a round, again and again."""
    each = itertools.cycle(values)

    def run_round() -> Samples:
        calls.append(who)
        return {"frame": [next(each)] * 3}

    return run_round


def test_two_things_are_compared_in_turns_until_their_ratio_is_clear_of_the_bar() -> None:
    calls: list[str] = []
    value, peer = make_rounds(calls, "value", 2, 8), make_rounds(calls, "peer", 2, 2)
    (found,) = compare(value, peer, bar=1.2)
    assert found.name == "frame, p50"
    assert found.value / found.peer == pytest.approx(2, rel=0.2)
    assert ratio.LEAST < len(calls) // 2 < ratio.MOST
    assert calls[:4] == ["peer", "value", "value", "peer"]

    calls.clear()
    found, late = compare(value, peer, bar=1e3, late=["frame"])
    assert late == Comparison("frame, p99", found.value, found.peer)
    assert len(calls) == 2 * ratio.LEAST


def test_a_round_in_which_the_machine_stood_still_is_left_out() -> None:
    value = make_rounds([], "value", 3, 3, 3, 3, 300, 3, 3, 0.03)
    (found,) = compare(value, make_rounds([], "peer", 2), bar=1.2)
    assert found.value == pytest.approx(3)
    assert found.peer == pytest.approx(2)


def test_what_stays_at_the_bar_is_measured_as_often_as_anything() -> None:
    calls: list[str] = []
    compare(make_rounds(calls, "value", 1, 4, 4, 1), make_rounds(calls, "peer", 2), bar=1.0)
    assert len(calls) == 2 * ratio.MOST


@pytest.mark.postgresql
def test_a_long_used_database_is_as_the_engine_would_have_made_it() -> None:
    with Postgres() as server:
        site = Site(server.create_database("grown"))
        with psycopg.connect(site.database_url, autocommit=True) as connection:

            def one(query: str) -> Any:
                row = connection.execute(query.encode()).fetchone()
                assert row is not None
                return row[0]

            indexes = one(INDEXES)
            grown.fill(site, JOBS)
            # The rows of the two examples are there besides.
            count = JOBS + 2
            assert one("SELECT count(*) FROM workflows_job") == count
            assert one("SELECT count(*) FROM workflows_event") == 10 * count
            assert one("SELECT count(*) FROM workflows_step") == 4 * count
            assert one(UNLIKE_ITS_LOG) == 0
            assert one(IN_ANOTHERS_SESSION) == 0
            assert one(INDEXES) == indexes
            # Deleting them all checks all foreign keys.
            assert int(python("-c", PRUNE, environment=site.environment)) == count
            assert one("SELECT count(*) FROM workflows_event") == 0
