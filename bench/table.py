"""The table: figure, value, peer, ratio, bar, verdict."""

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass

HEADINGS = ("figure", "value", "peer", "ratio", "bar", "verdict")


@dataclass(frozen=True)
class Line:
    """One line of the table, in words."""

    figure: str
    value: str
    peer: str
    ratio: str
    bar: str
    verdict: str

    @property
    def missed(self) -> bool:
        return self.verdict == "MISS"


def line(
    figure: str,
    value: float,
    unit: str,
    *,
    peer: float | None = None,
    peer_name: str = "",
    bar: str = "",
    held: bool | None = None,
) -> Line:
    """Return a line.

    Args:
        figure: the name of the measurement.
        value: its result.
        unit: of the value and of the peer's.
        peer: the peer's result in the same run.
        peer_name: the peer's name.
        bar: the requirement, in words.
        held: whether it holds; None where there is no requirement.
    """
    return Line(
        figure,
        f"{number(value)} {unit}",
        "–" if peer is None else f"{number(peer)} {unit} {peer_name}".strip(),
        "–" if not peer else f"{value / peer:.2f}×",
        bar or "–",
        "–" if held is None else "ok" if held else "MISS",
    )


def describe_failure(figure: str, error: Exception) -> Line:
    """Return the line of a figure that could not be measured."""
    return Line(figure, f"{type(error).__name__}, see above", "–", "–", "–", "MISS")


def number(value: float) -> str:
    """Return three digits of *value*; more where they stand before the point."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def render(lines: Iterable[Line]) -> str:
    """Return the table as a Markdown one, in columns."""
    rows = [HEADINGS, *(astuple(each) for each in lines)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    rows.insert(1, tuple("-" * width for width in widths))
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in rows
    )


def p50(samples: Sequence[float]) -> float:
    return statistics.median(samples)


def p95(samples: Sequence[float]) -> float:
    return sorted(samples)[math.ceil(len(samples) * 0.95) - 1]


def p99(samples: Sequence[float]) -> float:
    return sorted(samples)[min(len(samples) - 1, int(len(samples) * 0.99))]


def over_rounds(rounds: Sequence[Sequence[float]]) -> tuple[float, float]:
    """Return the medians, over the rounds, of their p50 and p99."""
    return p50([p50(samples) for samples in rounds]), p50([p99(samples) for samples in rounds])
