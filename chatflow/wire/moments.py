"""Moments in JSON."""

from datetime import UTC, datetime


def iso(moment: datetime) -> str:
    """Return the moment as JavaScript writes it, in UTC."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
