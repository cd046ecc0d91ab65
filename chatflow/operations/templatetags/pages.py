"""Figures, moments and texts as the operator's pages show them."""

from datetime import datetime
from typing import Any

from django import template
from django.utils import timezone

register = template.Library()


@register.filter
def number(value: Any) -> str:
    """Return a number with its thousands apart."""
    return f"{value or 0:,}"


@register.filter
def at(moment: datetime | None) -> str:
    """Return a moment to the second, by the site's own time zone."""
    return "-" if moment is None else f"{timezone.localtime(moment):%Y-%m-%d %H:%M:%S}"


@register.filter
def seconds(value: float | None) -> str:
    """Return a span of time as people say it."""
    if value is None:
        return "-"
    if value < 60:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


@register.filter
def visible(text: str) -> str:
    """Return a text with what can't be seen written out, such as marks that turn words around."""
    return "".join(
        sign if sign.isprintable() or sign in "\n\t" else f"\\u{ord(sign):04x}" for sign in text
    )
