"""How much fits into an invoice. A leaf module: the models and the conversation both obey it."""

from decimal import Decimal

MAX_NAME = 200
# Characters of a message that are read; what the patterns cost grows faster than their number.
MAX_TEXT = 1000
MAX_PHONE = 50
MAX_ADDRESS = 500
MAX_LINES = 50
MAX_QUANTITY = Decimal(1_000_000)
# Ten digits, two of them after the point.
MAX_PRICE = Decimal("99999999.99")
# Fourteen digits: SQLite keeps decimals as floats, which are exact up to fifteen.
MAX_TOTAL = Decimal("999999999999.99")


class Refused(ValueError):
    """An answer that can't be used; its text is a sentence that tells the user why."""
