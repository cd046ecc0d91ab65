"""Two things measured in turns, until it is clear on which side of a bar their ratio lies.

A round's p99 is a handful of its worst moments, and the other load of a shared machine changes from
one round to the next: the medians of nine rounds on two equal databases differ by up to a third.
So each round of the one is compared with the round of the other beside it, and there are as many as
it takes, if forty are enough; else their mean decides.
"""

import math
import statistics
import sys
from collections.abc import Callable, Collection
from dataclasses import dataclass

from bench.table import p50, p99

# Rounds at least and at most.
LEAST, MOST = 8, 40
# How many times its error the mean ratio is off the bar when that is clear. It is the error of the
# rounds that are left, about two thirds of what it would be with all. As simulated, a ratio of 1.05
# whose rounds differ by a third is taken for more than 1.2 in 16 of 1,000 runs, and one of 1.3 for
# less in 112.
CLEAR = 3.0
# One round in so many is left out at either end: in an outlier the machine may have stood still.
SPARED = 8

# Samples, by the name of the measurement.
Samples = dict[str, list[float]]
# The result of a round of the one, and of the round of the other beside it.
Pair = tuple[float, float]


@dataclass(frozen=True)
class Comparison:
    """One of the things measured: a quantile of it, as the geometric mean over the rounds.

    Their ratio is therefore the mean ratio of the rounds.
    """

    name: str
    value: float
    peer: float


def compare(
    value: Callable[[], Samples],
    peer: Callable[[], Samples],
    *,
    bar: float,
    late: Collection[str] = (),
) -> list[Comparison]:
    """Measure rounds of both.

    Args:
        value: measures a round.
        peer: measures a round of the other.
        bar: the ratio; it should become clear whether it is kept.
        late: the names of which the p99 is wanted as well as the p50.
    """
    rounds: dict[str, list[Pair]] = {}
    for number in range(MOST):
        if number >= LEAST and all(is_clear(pairs, bar) for pairs in rounds.values()):
            break
        # Now this one comes first, now the other.
        first, second = (value, peer) if number % 2 else (peer, value)
        found = {first: first()}
        found[second] = second()
        for name in found[value]:
            for quantile in (p50, p99) if name in late else (p50,):
                pair = quantile(found[value][name]), quantile(found[peer][name])
                rounds.setdefault(f"{name}, {quantile.__name__}", []).append(pair)
    return [summarise(name, pairs, bar) for name, pairs in rounds.items()]


def summarise(name: str, pairs: list[Pair], bar: float) -> Comparison:
    value, peer = map(statistics.geometric_mean, zip(*drop_extremes(pairs), strict=True))
    # For whoever waits: this takes minutes.
    clear = "clear" if is_clear(pairs, bar) else "not clear"
    summary = f"{name}: {value / peer:.2f}× in {len(pairs)} rounds, {clear}"
    print(summary, file=sys.stderr, flush=True)
    return Comparison(name, value, peer)


def is_clear(pairs: list[Pair], bar: float) -> bool:
    """Return whether more rounds would hardly change on which side of the bar the ratio lies."""
    ratios = [math.log(value / peer) for value, peer in drop_extremes(pairs)]
    error = statistics.stdev(ratios) / math.sqrt(len(ratios))
    return abs(statistics.mean(ratios) - math.log(bar)) >= CLEAR * error


def drop_extremes(pairs: list[Pair]) -> list[Pair]:
    """Leave out the rounds with the highest and the lowest ratios."""
    spared = len(pairs) // SPARED
    return sorted(pairs, key=lambda pair: pair[0] / pair[1])[spared : len(pairs) - spared]
