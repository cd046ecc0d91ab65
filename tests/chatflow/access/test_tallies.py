"""Counting for limits, over all processes."""

import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models import F

from chatflow.access import tallies
from chatflow.access.tallies import Limit
from chatflow.models import Tally
from chatflow.workflows.testing.time_travel import set_clock

pytestmark = pytest.mark.django_db

THREE = Limit("send", 3, 60.0)


def later(seconds: float) -> None:
    Tally.objects.update(ends_at=F("ends_at") - seconds)


def test_it_works() -> None:
    assert [THREE.take("alice") for _ in range(3)] == [None] * 3
    wait = THREE.take("alice")
    assert wait is not None
    assert 55 < wait <= 60
    # Somebody else, and something else.
    assert THREE.take("bob") is None
    assert Limit("upload", 3, 60.0).take("alice") is None


def test_a_window_ends() -> None:
    for _ in range(3):
        THREE.take("alice")
    later(59)
    assert THREE.take("alice") == pytest.approx(1, abs=0.9)
    later(2)
    assert [THREE.take("alice") is None for _ in range(4)] == [True, True, True, False]


def test_what_is_refused_is_not_counted() -> None:
    for _ in range(10):
        THREE.take("alice")
    assert Tally.objects.get().count == 3


def test_amounts() -> None:
    limit = Limit("bytes", 100, 60.0)
    assert limit.take("alice", 101) == 60.0
    assert limit.take("alice", 60) is None
    assert limit.take("alice", 41) is not None
    assert limit.take("alice", 40) is None


def test_nothing_at_all() -> None:
    assert Limit("send", 0, 60.0).take("alice") == 60.0
    assert not Tally.objects.exists()


def test_give_back_and_forget() -> None:
    for _ in range(3):
        THREE.take("alice")
    THREE.give_back("alice")
    assert THREE.take("alice") is None
    assert THREE.take("alice") is not None
    THREE.forget("alice")
    assert THREE.take("alice") is None
    THREE.give_back("nobody")


def test_one_statement_counts(django_assert_num_queries: object) -> None:
    THREE.take("alice")
    with django_assert_num_queries(1):  # type: ignore[operator]
        assert THREE.take("alice") is None


def test_prune() -> None:
    THREE.take("alice")
    later(61)
    THREE.take("bob")
    tallies.prune()
    assert Tally.objects.get().key == "send:bob"


def test_wrong_clocks_count_together(wrong_clock: float) -> None:
    """By the database's clock, whatever this host's says."""
    for _ in range(3):
        THREE.take("alice")
    with set_clock(timedelta(minutes=30)):
        assert THREE.take("alice") is not None


@pytest.mark.django_db(transaction=True)
def test_many_at_the_same_moment() -> None:
    """No more than the limit, however the statements meet."""
    barrier = threading.Barrier(8)
    taken: list[float | None] = []

    def take() -> None:
        barrier.wait()
        taken.extend(THREE.take("alice") for _ in range(3))
        connection.close()

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(wait is None for wait in taken) == 3
    assert len(taken) == 24
