"""Moments in JSON."""

from datetime import UTC, datetime, timedelta, timezone

from chatflow.wire.moments import iso

NOON = datetime(2026, 1, 13, 13, 45, tzinfo=UTC)


def test_it_works() -> None:
    assert iso(NOON) == "2026-01-13T13:45:00Z"
    assert iso(NOON.replace(microsecond=500)) == "2026-01-13T13:45:00.000500Z"


def test_moments_are_in_utc() -> None:
    elsewhere = NOON.astimezone(timezone(timedelta(hours=5)))
    assert iso(elsewhere) == "2026-01-13T13:45:00Z"
