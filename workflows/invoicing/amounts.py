"""Numbers as people type them: "1,200.50", "1.200,50", "three", "€ 49,90 each"."""

import re
from decimal import ROUND_HALF_UP, Decimal

MAX_QUANTITY = Decimal(1_000_000)
# Ten digits, two of them after the point.
MAX_PRICE = Decimal("99999999.99")
# Fourteen digits: SQLite keeps decimals as floats, which are exact up to fifteen.
MAX_TOTAL = Decimal("999999999999.99")

_TO_TWELVE = "zero one two three four five six seven eight nine ten eleven twelve"
WORDS = {word: number for number, word in enumerate(_TO_TWELVE.split())} | {
    "a": 1,
    "an": 1,
    "dozen": 12,
    "a dozen": 12,
    "fifteen": 15,
    "twenty": 20,
    "thirty": 30,
    "forty": 40,
    "fifty": 50,
    "hundred": 100,
    "a hundred": 100,
    "one hundred": 100,
    "thousand": 1000,
    "a thousand": 1000,
    "one thousand": 1000,
}
# Longest first, so that "a dozen" isn't read as "a".
WORD = f"(?:{'|'.join(sorted(WORDS, key=len, reverse=True))})"
# The bounds keep a message of 4000 digits from being tried at every position.
DIGITS = (
    r"(?:\d{1,3}(?:[ \u00a0\u202f]\d{3}){1,4}(?:[.,]\d{1,9})?|\d(?:[\d.,'’]{0,30}\d)?|\.\d{1,9})"
)
SIGN = r"(?:[-−+]\s?|minus\s+)"
CURRENCY = r"(?:[$€£¥]|\b(?:usd|eur|euros?|gbp|chf|dollars?|pounds?|bucks)\b)"
EACH = r"(?:each|apiece|(?:(?:per|an?)\s+|/\s*)[^\W\d]+)"
NUMBER = rf"(?:{SIGN}?(?:{DIGITS}|{WORD}))"
MONEY = rf"(?:(?:{CURRENCY}\s*)?{NUMBER}(?:\s*{CURRENCY})?(?:\s*{EACH})?)"

_SIGNED = rf"(?P<sign>{SIGN})?(?P<number>{DIGITS}|{WORD})"
_PRICE = re.compile(
    # No two runs of spaces side by side, which would take cubic time.
    rf"(?:it'?s|at|@|for|to)?\s*(?:{CURRENCY}\s*)?(?!an?$){_SIGNED}\s*(?:{CURRENCY}\s*)?{EACH}?",
    re.I,
)
# "3 laptops", "2 pcs": a number and a noun, but no second number.
_QUANTITY = re.compile(rf"{_SIGNED}(?:(?<=\d)\s*[x×*]|\s+\D+)?", re.I)
# A comma or point before exactly three digits groups thousands, unless a zero comes first.
_GROUPED = re.compile(r"([1-9]\d{0,2}([.,])\d{3}(?:\2\d{3})*)(?:(?!\2)[.,](\d+))?")
_PLAIN = re.compile(r"(\d*)()(?:[.,](\d+))?")


class Refused(ValueError):
    """An answer that can't be used; its text is a sentence that tells the user why."""


def parse_number(text: str) -> Decimal | None:
    """Read a bare number without a sign, in digits or as a word. None when it isn't one."""
    text = " ".join(text.casefold().split())
    if text in WORDS:
        return Decimal(WORDS[text])
    digits = re.sub(r"[ '’]", "", text) if re.fullmatch(DIGITS, text) else "?"
    found = _GROUPED.fullmatch(digits) or _PLAIN.fullmatch(digits)
    return found and Decimal(f"{re.sub('[.,]', '', found[1]) or 0}.{found[3] or 0}")


def read_quantity(text: str) -> Decimal:
    """Read how many; Refused if it isn't a number, isn't above zero or is too large."""
    number = _read(_QUANTITY, text, "quantity")
    if number > MAX_QUANTITY:
        raise Refused(f"The quantity can be at most {format_quantity(MAX_QUANTITY)}.")
    rounded = max(number, Decimal(0)).quantize(Decimal("0.001"), ROUND_HALF_UP)
    if not rounded:
        raise Refused(f"The quantity must be greater than zero, so {shorten(text)} won't do.")
    return rounded


def read_price(text: str) -> Decimal:
    """Read the price of one piece, in cents; Refused if it is none, negative or too large."""
    number = Decimal(0) if text.strip(" .!").casefold() == "free" else _read(_PRICE, text, "price")
    if number < 0:
        raise Refused("A price can't be negative.")
    if number > MAX_PRICE:
        raise Refused(f"A price can be at most {format_money(MAX_PRICE)}.")
    return round_money(number)


def _read(pattern: re.Pattern[str], text: str, kind: str) -> Decimal:
    # An answer comes as it was typed.
    found = pattern.fullmatch(" ".join(text.split()).strip(" .!?")[:100])
    number = parse_number(found["number"]) if found else None
    if found is None or number is None:
        raise Refused(f"I could not read “{shorten(text)}” as a {kind}.")
    return -number if (found["sign"] or "+").strip() != "+" else number


def round_money(value: Decimal) -> Decimal:
    """Round to cents, halves up."""
    return value.quantize(Decimal("0.01"), ROUND_HALF_UP)


def format_money(value: Decimal) -> str:
    """Write an amount with two decimals: 3,600.00."""
    return f"{value:,.2f}"


def format_quantity(value: Decimal) -> str:
    """Write a quantity without needless zeros: 3, 2.5, 1,000."""
    return f"{value.normalize():,f}"


def shorten(text: str) -> str:
    """Cut *text* so that it can be quoted in a sentence."""
    text = " ".join(text.split())
    return text if len(text) <= 60 else f"{text[:59]}…"
