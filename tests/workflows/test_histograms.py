"""Histograms that can be added up."""

import pytest

from chatflow.workflows import histograms
from chatflow.workflows.histograms import BOUNDS, BUCKETS


def of(*durations: float) -> list[int]:
    counts = histograms.empty()
    for seconds in durations:
        counts[histograms.bucket(seconds)] += 1
    return counts


def test_quantiles_are_exact_to_a_bucket() -> None:
    counts = histograms.add([of(*[0.07] * 90), of(*[4.0] * 10)])

    assert 0.05 <= (histograms.quantile(counts, 0.5) or 0) <= 0.1
    assert 2.5 <= (histograms.quantile(counts, 0.95) or 0) <= 5


def test_the_edges() -> None:
    assert histograms.quantile(histograms.empty(), 0.5) is None
    assert histograms.quantile(of(100_000), 0.5) == BOUNDS[-1]
    assert histograms.bucket(0) == 0
    assert histograms.bucket(BOUNDS[-1]) == BUCKETS - 1
    assert histograms.quantile(of(0.0), 1) == BOUNDS[0]
    assert histograms.add([]) == histograms.empty()


def test_they_are_of_one_kind() -> None:
    with pytest.raises(ValueError, match="buckets"):
        histograms.add([[1, 2]])
