"""Sizes as people read them."""

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
