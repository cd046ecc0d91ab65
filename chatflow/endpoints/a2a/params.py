"""A call's params, read as ProtoJSON has them: null is the same as nothing."""

from datetime import UTC, datetime
from typing import Any

from django.utils.dateparse import parse_datetime

from chatflow.endpoints.a2a.faults import invalid

JSON = dict[str, Any]
LARGEST = 2**31 - 1


def read_text(params: JSON, name: str) -> str:
    """Return a text; empty where there is none.

    Raises:
        Fault: it's something else.
    """
    value = params.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise invalid(f"{name} must be a string.")
    return value


def read_flag(params: JSON, name: str) -> bool:
    """Return a truth; false where there is none.

    Raises:
        Fault: it's something else.
    """
    value = params.get(name)
    if value is not None and not isinstance(value, bool):
        raise invalid(f"{name} must be true or false.")
    return bool(value)


def read_number(params: JSON, name: str, default: int, least: int = 0, most: int = LARGEST) -> int:
    """Return a whole number.

    Raises:
        Fault: it's something else, or out of bounds.
    """
    value = params.get(name)
    if value is None:
        return default
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise invalid(f"{name} must be a whole number from {least} to {most}.")
    return value


def read_object(params: JSON, name: str) -> JSON:
    """Return an object; an empty one where there is none.

    Raises:
        Fault: it's something else.
    """
    value = params.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise invalid(f"{name} must be an object.")
    return value


def read_moment(params: JSON, name: str) -> datetime | None:
    """Return a moment, if there is one.

    Raises:
        Fault: it's something else.
    """
    text = read_text(params, name)
    if not text:
        return None
    moment = parse_moment(text)
    if moment is None:
        raise invalid(f"{name} must be a moment, such as 2026-01-13T13:45:00Z.")
    return moment


def parse_moment(text: str) -> datetime | None:
    """Return the moment that *text* names with its zone, in UTC; None if it names none.

    Raises:
        TypeError: it's no text.
    """
    try:
        moment = parse_datetime(text)
        # Near the ends of time there are moments of other zones which UTC has not.
        return moment.astimezone(UTC) if moment and moment.tzinfo else None
    except (ValueError, OverflowError):
        return None
