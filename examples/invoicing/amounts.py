"""Numbers as people type them: "1,200.50", "1.200,50", "three", "€ 49,90 each"."""

import re
from decimal import ROUND_HALF_UP, Decimal

from examples.invoicing.limits import MAX_PRICE, MAX_QUANTITY, Refused

CENT = Decimal("0.01")
THOUSANDTH = Decimal("0.001")

WORDS = {
    "zero": 0,
    "a": 1,
    "an": 1,
    "one": 1,
    "two": 2,
    "three": 3,
    "four": 4,
    "five": 5,
    "six": 6,
    "seven": 7,
    "eight": 8,
    "nine": 9,
    "ten": 10,
    "eleven": 11,
    "twelve": 12,
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
DIGITS = r"(?:\d{1,3}(?:[ \u00a0\u202f]000){1,3}|\d(?:[\d.,'’]{0,30}\d)?|\.\d{1,9})"
# With spaces between the thousands; only where no name can follow the number.
SPACED = rf"(?:\d{{1,3}}(?:[ \u00a0\u202f]\d{{3}}){{1,9}}(?:[.,]\d{{1,9}})?|{DIGITS})"
SIGN = r"(?:[-−+]\s?|minus\s+)"
CURRENCY = r"(?:[$€£¥]|\b(?:usd|eur|euros?|gbp|chf|dollars?|pounds?|bucks)\b)"
EACH = r"(?:each|apiece|a\s?piece|(?:per|an?|/)\s*[^\W\d]+)"

_AMOUNT = re.compile(
    rf"(?:it'?s|is|about|at|@|for|only|just|to)?\s*{CURRENCY}?\s*"
    rf"(?P<sign>{SIGN})?{CURRENCY}?\s*(?P<number>{SPACED}|(?!an?$){WORD})"
    rf"\s*{CURRENCY}?\s*{EACH}?",
    re.IGNORECASE,
)
# "3 laptops", "2 pcs": a number and what is counted, but no second number.
_COUNT = re.compile(
    rf"(?:it'?s|about|only|just|to)?\s*(?P<sign>{SIGN})?(?P<number>{DIGITS}|{WORD})"
    r"(?:\s*[x×*]|\s+\D+)?",
    re.IGNORECASE,
)


def parse_number(text: str) -> Decimal | None:
    """Read a bare number, in digits or as a word. None when it isn't one.

    A lone comma or point followed by exactly three digits groups thousands ("1,200", "1.200"),
    unless a zero stands before it ("0.125"); any other lone one is the decimal sign.
    """
    text = " ".join(text.casefold().split())
    if text in WORDS:
        return Decimal(WORDS[text])
    match = re.fullmatch(rf"({SIGN})?({SPACED})", text)
    if match is None:
        return None
    plain = _plain(re.sub(r"[ '’\u00a0\u202f]", "", match[2]))
    if plain is None:
        return None
    value = Decimal(plain)
    return value if match[1] in (None, "+") else -value


def _plain(digits: str) -> str | None:
    """Spell *digits* with a point for the decimals and nothing for the thousands."""
    decimal = _decimal_sign(digits)
    whole, _, fraction = digits.rpartition(decimal) if decimal else (digits, "", "")
    grouped = re.fullmatch(r"\d*|\d{1,3}([.,])\d{3}(?:\1\d{3})*", whole)
    if grouped is None or (fraction and not fraction.isdecimal()):
        return None
    return f"{re.sub(r'[.,]', '', whole) or '0'}.{fraction or '0'}"


def _decimal_sign(digits: str) -> str:
    points, commas = digits.count("."), digits.count(",")
    if points and commas:
        return max(".,", key=digits.rfind)
    if points + commas != 1 or re.fullmatch(r"[1-9]\d{0,2}[.,]\d{3}", digits):
        return ""
    return "." if points else ","


def read_quantity(text: str) -> Decimal:
    """Read how many.

    Raises:
        Refused: it isn't a number, isn't above zero or is too large.
    """
    number = _read(_COUNT, text)
    if number is None:
        raise Refused(f"I could not read “{shorten(text)}” as a quantity.")
    if number > MAX_QUANTITY:
        raise Refused(f"The quantity can be at most {format_quantity(MAX_QUANTITY)}.")
    rounded = number.quantize(THOUSANDTH, ROUND_HALF_UP) if number > -MAX_QUANTITY else number
    if rounded <= 0:
        raise Refused(f"The quantity must be greater than zero, so {shorten(text)} won't do.")
    return rounded


def read_price(text: str) -> Decimal:
    """Read the price of one piece, rounded to cents.

    Raises:
        Refused: it isn't a number, is negative or is too large.
    """
    if text.strip().casefold().rstrip(".!") in {"free", "for free", "nothing"}:
        return Decimal("0.00")
    number = _read(_AMOUNT, text)
    if number is None:
        raise Refused(f"I could not read “{shorten(text)}” as a price.")
    if number < 0:
        raise Refused("A price can't be negative.")
    if number > MAX_PRICE:
        raise Refused(f"A price can be at most {format_money(MAX_PRICE)}.")
    return round_money(number)


def _read(pattern: re.Pattern[str], text: str) -> Decimal | None:
    match = pattern.fullmatch(text.strip().rstrip(".!?").strip())
    if match is None:
        return None
    number = parse_number(match["number"])
    negative = (match["sign"] or "+").strip() != "+"
    return -number if number is not None and negative else number


def round_money(value: Decimal) -> Decimal:
    """Round to cents, halves up."""
    return value.quantize(CENT, ROUND_HALF_UP)


def format_money(value: Decimal) -> str:
    """Write an amount with two decimals: 3,600.00."""
    return f"{value:,.2f}"


def format_quantity(value: Decimal) -> str:
    """Write a quantity without needless zeros: 3, 2.5, 1,000."""
    text = f"{value:,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def shorten(text: str, length: int = 60) -> str:
    """Cut *text* so that it can be quoted in a sentence."""
    text = " ".join(text.split())
    return text if len(text) <= length else f"{text[: length - 1]}…"
