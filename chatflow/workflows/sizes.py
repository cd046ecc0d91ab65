"""Sizes and durations as people read them."""

UNITS = ("kB", "MB", "GB", "TB")


def size_text(size: int) -> str:
    """Return a size in bytes as people say it: 1,048,576 is ``1 MB``."""
    if size < 1024:
        return f"{size} byte" if size == 1 else f"{size} bytes"
    value, unit = size / 1024, 0
    while value >= 999.5 and unit + 1 < len(UNITS):
        value, unit = value / 1024, unit + 1
    digits = f"{value:.1f}".removesuffix(".0") if value < 9.95 else f"{value:.0f}"
    return f"{digits} {UNITS[unit]}"


def duration_text(seconds: float) -> str:
    """Return a duration as people read it: its two largest units."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {rest} min" if rest else f"{hours} h"
    return f"{hours // 24} d {hours % 24} h"
