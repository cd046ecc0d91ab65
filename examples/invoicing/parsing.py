"""Understands "Create invoice for Acme with 3 laptops at 1200" without a language model.

Pure functions. What they can't tell they leave open, and the conversation asks.
"""

import re
import unicodedata

from examples.invoicing.amounts import (
    CURRENCY,
    DIGITS,
    EACH,
    SIGN,
    SPACED,
    WORD,
    WORDS,
    shorten,
)
from examples.invoicing.drafts import Item, Request
from examples.invoicing.limits import MAX_LINES, MAX_NAME, MAX_TEXT, Refused

I = re.IGNORECASE  # noqa: E741

# A quantity that is followed by what it counts: "3 laptops", "2 x lamp", "a chair", not "20 each".
COUNT = (
    rf"(?:{SIGN})?(?:{DIGITS}(?:\s*[x×*]\s*|\s+(?:(?:pcs|pieces|units)\.?\s+(?:of\s+)?)?)"
    rf"|(?:{WORD})\s+(?:x\s+)?)(?!(?:{EACH}|{CURRENCY})(?:\W|$))(?=\S)"
)
_START = re.compile(
    r"(?:(?:please|kindly|hi|hello|hey|(?:can|could|would|will)\s+you|let'?s|let\s+me|(?:i|we)"
    r"(?:'d|\s+would)?\s+(?:like|want|need|have)(?:\s+you)?(?:\s+to)?)[\s,!.]+)*"
    r"(?:(?:create|make|write|draft|prepare|issue|generate|raise|send|start|add|do|open|give)\s+)?"
    r"(?:me\s+)?(?:(?:an?|the|another|new|one|my)\s+)*(?:invoice|bill)s?\b",
    I,
)
# Somebody who starts over instead of answering; "Bill Gates" and "Invoice Ninja" are answers.
_ANEW = re.compile(
    r"(?:please\s+)?(?:create|make|write|start|new|another)\s+"
    r"(?:(?:an?|the|another|new)\s+)*(?:invoice|bill)\b",
    I,
)
_POLITE_END = re.compile(r"(?:^|[\s,]+)(?:please|thanks|thank\s+you|now)[\s.!?]*$", I)
_FOR = re.compile(
    r"(?:(?:to|for)\s+)?(?:(?:the\s+|my\s+)?(?:customer|client)\s*(?:is\b|:)?\s*)?", I
)
_IT_IS = re.compile(r"(?:it'?s|it\s+is|this\s+is)\s+", I)
_WITH = re.compile(r"(?:with|of|containing|including|over|about|items?:)\s+", I)
_ITEMS_THEN_CUSTOMER = re.compile(
    rf"(?P<items>.*\S)\s*[\s,]\s*(?:for|to)\s+(?:(?:the\s+)?(?:customer|client)\s+)?"
    rf"(?P<customer>(?!{COUNT}|{SIGN}|\d|{CURRENCY}).+)",
    I | re.DOTALL,
)
# From the surest sign to the weakest: a counted item after a separator, anything after "with" or a
# colon, something priced after "for" or a comma, a counted item right after the name.
_CUSTOMER_THEN_ITEMS = [
    re.compile(pattern, I | re.DOTALL)
    for pattern in (
        (
            rf"(?P<customer>.+?)(?:\s+(?:with|for|containing|including|over|about|of)\s+"
            rf"|\s*[:;,\n]\s*|\s+[-–—]\s+)(?:(?:the\s+)?(?:items?|following)\s*:?\s*)?"
            rf"(?:[-•*]\s+)?(?P<items>{COUNT}.*)"
        ),
        r"(?P<customer>.+?)(?:\s+(?:with|containing|including)\s+|\s*[:\n]\s*)(?P<items>\S.*)",
        rf"(?P<customer>.+?)(?:\s+for\s+|\s*,\s*)(?P<items>.*(?:\bat|@)\s*{CURRENCY}?\s*\d.*)",
        rf"(?P<customer>.+?)\s+(?P<items>{DIGITS}\s+(?-i:[a-z]).*)",
    )
]
_NOBODY = re.compile(
    r"|yes|no|ok|it|me|us|him|her|them|some(?:one|body)|(?:(?:an?|my|the)\s+)?(?:new\s+)?(?:customer|client)",
    I,
)
_SEPARATOR = r"(?:,?\s*\b(?:and|plus)\b|\s*&|\s*(?:(?<!\d),|,(?!\d)))\s*(?:(?:and|also)\s+)?"
_BULLET = re.compile(r"^\s*(?:[•*]|[-–—](?!\d)|\d+[.)]\s)\s*")
_BETWEEN_COUNTED = re.compile(rf"{_SEPARATOR}(?={COUNT})", I)
_BETWEEN_ANY = re.compile(_SEPARATOR, I)
_PRICE = re.compile(
    r"(?P<lead>[\s,]*(?:\bat\b|@|\bà\b|\bfor\b|\bpriced\s+at\b|\bcost(?:ing|s)?\b|\bprice\b:?)\s*"
    r"(?:(?:an?|the)\s+)?(?:unit\s+)?(?:price\s+(?:of\s+)?)?)?[\s,]*"
    rf"(?P<price>(?P<before>{CURRENCY})?\s*(?:{SIGN})?(?<![\d.,])(?:{SPACED})\s*(?P<after>{CURRENCY})?)"
    rf"\s*(?P<each>{EACH})?\s*$",
    I,
)
_COUNT_FIRST = re.compile(
    rf"(?P<quantity>(?:{SIGN})?(?:{DIGITS}|{WORD}))"
    r"(?:\s*[x×*]\s*|\s+)(?:x\s+)?(?:(?:pcs|pieces|units)\.?\s+(?:of\s+)?)?(?P<name>\S.*)",
    I | re.DOTALL,
)
_COUNT_LAST = re.compile(
    rf"(?P<name>.*?\S)\s*(?:\s[x×*]\s*|[:(]\s*)(?P<quantity>(?:{SIGN})?{DIGITS})\s*[x×*]?\)?"
    rf"|(?P<name2>.*?\S)\s+(?P<quantity2>(?:{SIGN})?{DIGITS})\s*(?:[x×*]|pcs\.?|pieces|units)",
    I | re.DOTALL,
)
_FILLER = re.compile(r"(?:(?:some|several|the|more|another|few|of)\s+)+", I)
_ABBREVIATION = re.compile(r"(?:\b\w|\b(?:inc|ltd|co|corp|jr|sr|bros|st|no))\.$", I)


def clean(text: str) -> str:
    """Drop what can't be seen or stored: NUL and other control characters. Lines stay lines."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\t", " ")
    kept = (c for c in text if c == "\n" or unicodedata.category(c) not in {"Cc", "Cs", "Cn", "Co"})
    text = "".join(kept).strip()
    # Long runs of what separates would cost the patterns below hours of trying.
    text = re.sub(r"[^\S\n]+", " ", text)
    text = re.sub(r"\s*\n\s*", "\n", text)
    text = re.sub(r"([^\w\s])(?:\s*\1)+", r"\1", text)
    return text[:MAX_TEXT]


def clean_name(text: str) -> str:
    """Trim a name to one line without quotes, filler words and the full stop of its sentence."""
    name = " ".join(clean(text).split()).strip('"“”«»„`,;:!?•* ')
    name = _FILLER.sub("", name, count=1) if _FILLER.match(name) else name
    return name if _ABBREVIATION.search(name) else name.rstrip(". ")


def read_name(text: str) -> str:
    """Read the name of a customer or a product.

    Raises:
        Refused: nothing of it can be read, or it is too long.
    """
    name = clean_name(text)
    if not re.search(r"[^\W_]", name):
        raise Refused("I could not read a name in that.")
    if len(name) > MAX_NAME:
        raise Refused(f"A name can have at most {MAX_NAME} characters.")
    return name


def read_customer(text: str) -> Request:
    """Read an answer to "which customer?"; it may bring items: "Acme with 3 laptops at 1200".

    Raises:
        Refused: no name can be read, or it is too long.
    """
    text = _POLITE_END.sub("", _IT_IS.sub("", clean(text), count=1))
    if _ANEW.match(text):
        request = read_request(text)
        return Request(customer=read_name(request.customer), items=request.items)
    match = _CUSTOMER_THEN_ITEMS[0].fullmatch(text)
    name = read_name(_customer(match["customer"] if match else text))
    return Request(customer=name, items=parse_items(match["items"]) if match else [])


def read_item(text: str) -> Item:
    """Read exactly one line.

    Raises:
        Refused: there is none, or more than one.
    """
    items = read_items(text)
    if len(items) > 1:
        raise Refused("One product at a time, please.")
    return items[0]


def read_items(text: str) -> list[Item]:
    """Read one or more lines such as "2 x Desk Lamp @ 49.90 and 1 chair at 80".

    Raises:
        Refused: there is nothing in it, or more than an invoice holds.
    """
    items = parse_items(text)
    if not items or _NOBODY.fullmatch(clean_name(text)):
        raise Refused(f"I could not find an item in “{shorten(clean(text))}”.")
    return check_count(items)


def check_count(items: list[Item]) -> list[Item]:
    """Return *items*; refuse more of them than an invoice holds."""
    if len(items) > MAX_LINES:
        raise Refused(f"An invoice can have at most {MAX_LINES} lines, and these are {len(items)}.")
    return items


def read_request(message: str) -> Request:
    """Take the customer and the items, as far as they are there, from a first message."""
    text = clean(message)
    start = _START.match(text)
    if start is not None:
        rest = text[start.end() :]
    else:
        # "3 laptops at 1200 for Acme, invoice please" or "our man needs an invoice for Acme".
        before, after = _around_the_word(text)
        rest = after if after.strip(" .!?") else before
        if rest is before and not re.search(COUNT, before, I):
            return Request()
    return split_request(rest)


def _around_the_word(text: str) -> tuple[str, str]:
    text = _POLITE_END.sub("", text)
    match = re.search(r"\b(?:invoice|bill)\b", text, I)
    if match is None:
        return text, ""
    return text[: match.start()].rstrip(" ,"), text[match.end() :]


def split_request(text: str) -> Request:
    """Divide "for Acme with 3 laptops at 1200" into the customer and the items."""
    text = _POLITE_END.sub("", text).strip(" \t\n,:;-–—?!")
    prefix = _FOR.match(text)
    head = text[prefix.end() :] if prefix else text
    if with_ := _WITH.match(head):
        return _items_first(head[with_.end() :])
    if _starts_with_items(head):
        return _items_first(head)
    for pattern in _CUSTOMER_THEN_ITEMS:
        if match := pattern.fullmatch(head):
            return Request(customer=_customer(match["customer"]), items=parse_items(match["items"]))
    return Request(customer=_customer(head))


def _starts_with_items(text: str) -> bool:
    count = re.match(COUNT, text, I)
    if count is None:
        return False
    # "7 Eleven with 2 cokes" and "A Better Company: 3 hats" are customers.
    looks_like_name = text[count.end() : count.end() + 1].isupper()
    return not looks_like_name or not re.search(rf"(?:\s(?:with|for)\s+|:\s*){COUNT}", text, I)


def _items_first(text: str) -> Request:
    if match := _ITEMS_THEN_CUSTOMER.fullmatch(text):
        return Request(customer=_customer(match["customer"]), items=parse_items(match["items"]))
    return Request(items=parse_items(text))


def _customer(text: str) -> str:
    name = clean_name(_FOR.sub("", text, count=1))
    return "" if _NOBODY.fullmatch(name) else name


def parse_items(text: str) -> list[Item]:
    """Read the lines in *text*, leaving out what has no name."""
    items = [parse_item(part) for part in split_items(clean(text))]
    return [item for item in items if re.search(r"[^\W\d_]", item.name)]


def split_items(text: str) -> list[str]:
    """Divide "2 lamps @ 49.90 and 1 chair at 80" into its lines, but not "3 nuts and bolts"."""
    parts: list[str] = []
    for bulleted in re.split(r"[;\n]+", text):
        row = _BULLET.sub("", bulleted)
        counted = _BETWEEN_COUNTED.split(row)
        parts += [piece for part in counted for piece in _split_uncounted(part, row)]
    return [part.strip() for part in parts if part.strip()]


def _split_uncounted(part: str, row: str) -> list[str]:
    """Split where no number tells: after a price, or in a bare list of names."""
    if not re.search(r"\d", row) and not re.match(COUNT, row, I):
        return _BETWEEN_ANY.split(part)
    for separator in _BETWEEN_ANY.finditer(part):
        before, after = part[: separator.start()], part[separator.end() :]
        if _find_price(before) and re.match(r"[^\W\d]", after) and not re.match(EACH, after, I):
            return [before, *_split_uncounted(after, row)]
    return [part]


def _find_price(text: str) -> re.Match[str] | None:
    """Find the price at the end of *text*; a bare number there may belong to the name."""
    # A price is short: looking at more than the end would take quadratic time on long texts.
    match = _PRICE.search(text, max(0, len(text) - 80))
    if match and (match["lead"] or match["before"] or match["after"] or match["each"]):
        return match
    return None


def parse_item(text: str) -> Item:
    """Read one line."""
    text = text.strip(" ,.!?")
    match = _find_price(text)
    name, quantity = _split_count(text[: match.start()] if match else text)
    if match is None:
        return Item(name=name, quantity=quantity)
    lead = (match["lead"] or "").strip(" ,").casefold()
    unclear = lead == "for" and not match["each"] and quantity not in {None, "1", "a", "an", "one"}
    return Item(name=name, quantity=quantity, price=match["price"].strip(), unclear_price=unclear)


def _split_count(text: str) -> tuple[str, str | None]:
    text = text.strip(" ,")
    if match := _COUNT_FIRST.fullmatch(text):
        return clean_name(match["name"]), _spell(match["quantity"])
    if match := _COUNT_LAST.fullmatch(text):
        name, quantity = match["name"] or match["name2"], match["quantity"] or match["quantity2"]
        return clean_name(name), quantity
    return clean_name(text), None


def _spell(quantity: str) -> str:
    """Write a number word in digits, so that a question can quote it."""
    number = WORDS.get(" ".join(quantity.casefold().split()))
    return quantity if number is None else str(number)
