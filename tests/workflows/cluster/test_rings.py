"""The rings that the workers of a cluster share."""

from collections.abc import Iterator

import pytest

from chatflow.workflows.bells.base import readable
from chatflow.workflows.cluster.rings import DUE, JOB, MANY, Rings


@pytest.fixture
def rings() -> Iterator[Rings]:
    rings = Rings()
    yield rings
    rings.close()


def test_it_works(rings: Rings) -> None:
    assert rings.take() == b""
    assert not readable([rings.fd], 0)
    rings.put(JOB)
    rings.put(JOB)

    assert readable([rings.fd], 0)
    assert rings.take() == JOB + JOB
    assert rings.take() == b""


@pytest.mark.parametrize(
    ("topic", "key", "rung"),
    [("jobs", 7, JOB), ("jobs", 0, JOB), ("due", 0, DUE), ("jobs", None, JOB + DUE)],
)
def test_what_a_doorbell_says(rings: Rings, topic: str, key: int | None, rung: bytes) -> None:
    rings.on_ring(topic, key)

    assert rings.take() == rung


def test_a_full_pipe_is_no_trouble(rings: Rings) -> None:
    for _ in range(MANY + 10):
        rings.put(JOB)

    assert rings.take() == JOB * MANY
    assert rings.take() == b""
