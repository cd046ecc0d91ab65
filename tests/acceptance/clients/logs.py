"""Logs of jobs, drawn by chance, for the judges of what a dialect says of them."""

from hypothesis import given, settings
from hypothesis.strategies import SearchStrategy

from tests.chatflow.dialects.contract import LOGS, Said


def with_drawn(said: SearchStrategy[list[Said]], count: int) -> list[list[Said]]:
    """Return the contract's logs, and *count* more; the same ones each time."""
    logs: list[list[Said]] = list(LOGS.values())

    @settings(max_examples=count, derandomize=True, database=None, deadline=None)
    @given(said)
    def collect(drawn: list[Said]) -> None:
        logs.append(drawn)

    collect()
    return logs
