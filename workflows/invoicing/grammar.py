"""A small grammar for "Create invoice for Acme with 3 laptops at 1200".

It takes what it is sure of; anything else is asked for. A message is cut to MAX_TEXT characters
without long runs of separators, so that each pattern is done with the most hostile one at once.
"""

import re

from workflows.invoicing.amounts import CURRENCY, EACH, MONEY, NUMBER, WORDS, Refused, shorten
from workflows.invoicing.drafts import MAX_LINES, MAX_NAME, Item, Request

MAX_TEXT = 1000

# A number followed by the thing counted: "3 laptops", "2 x lamp", "a chair".
_TIMES = r"(?:(?<=\d)\s*[x×*]\s*|\s+(?:x\s+)?)"
COUNT = rf"{NUMBER}{_TIMES}(?=\S)"
_REQUEST = re.compile(
    r".*?\b(?:invoice|bill)s?\b[\s:,]*(?:(?:for|to)\s+)?(?P<customer>.*?)"
    rf"(?:(?:\s*[:,\n]\s*|\s+for\s+)(?P<items>{COUNT}.*)|\s+with\s+(?P<things>\S.*))?",
    re.I | re.DOTALL,
)
# Somebody who starts over instead of answering; "Bill Gates" and "Invoice Ninja" are answers.
_ANEW = re.compile(r"(?:please\s+)?(?:create|make|write|new)\b.*?\b(?:invoice|bill)\b", re.I)
_IT_IS = re.compile(r"(?:it'?s\s+|the\s+customer\s+is\s+)?(?:(?:for|to)\s+)?", re.I)
POLITE_END = re.compile(
    r"(?<![\s,])[\s,]*\b(?:please|thanks|thank\s+you|now|instead)[\s.!?]*$", re.I
)
# Unlikely in the name of a customer: more was said than the grammar knows.
_NO_CUSTOMER = re.compile(
    r"\b(?:with|for|at|customer|client|items?)\b|[@:;,\n]|\d\s+\w|^(?:an?|it|me|them)$", re.I
)
# Of the spaces in a cleaned text, no two stand side by side.
_ROW = re.compile(rf"[;\n]|(?:,? ?\b(?:and|plus)\b| ?&|,(?!\d)|(?<!\d),)\s*(?={COUNT})", re.I)
_BULLET = re.compile(r"^\s*(?:[-–•*]|\d{1,2}[.)])\s+")
_ITEM = re.compile(
    rf"(?:(?P<quantity>{NUMBER}){_TIMES})?(?P<name>\S.*?)"
    rf"(?:\s*(?:\bat\b|@|(?P<for>\bfor\b))\s*(?P<price>{MONEY}))?",
    re.I | re.DOTALL,
)
# Nor in that of a product; a number may be: "iPhone 15".
_NO_PRODUCT = re.compile(
    rf"\b(?:at|for|to|à|price\D*|cost\w*)\s*\d|@|\b(?:each|apiece|per)\b|{CURRENCY}|[:(]\s*\d|\bx\s*\d"
    r"|\d\s*[x×]$|\d\s*pcs|^(?:pcs|pieces|units|more|some)\b|\bpriced$|^\d+\s|^[\W\d]*$|^(?:yes|no|ok|it|them)$",
    re.I,
)
_ABBREVIATION = re.compile(r"(?:\b\w|\b(?:inc|ltd|co|corp|jr|sr|bros|st|no))\.$", re.I)


def clean(text: str) -> str:
    """Drop characters that can't be seen or stored, and runs of separators. Lines stay lines."""
    text = "".join(char for char in text if char.isspace() or char.isprintable())
    text = re.sub(r" ?\n\s*", "\n", re.sub(r"[^\S\n]+", " ", text)).strip()
    return re.sub(r"([^\w\s])(?:\s*\1)+", r"\1", text)[:MAX_TEXT]


def clean_name(text: str) -> str:
    """Trim a name to one line without quotes and the full stop of its sentence."""
    name = " ".join(clean(text).split()).strip('"“”«»„`,;:!?•* ')
    return name if _ABBREVIATION.search(name) else name.rstrip(". ")


def read_name(text: str) -> str:
    """Read the name of a customer or a product; Refused if there is none, or it is too long."""
    name = clean_name(text)
    if not re.search(r"[^\W_]", name):
        raise Refused("I could not read a name in that.")
    if len(name) > MAX_NAME:
        raise Refused(f"A name can have at most {MAX_NAME} characters.")
    return name


def read_request(message: str) -> Request:
    """Take the customer and the items from a first message, as far as they are sure."""
    found = _REQUEST.fullmatch(POLITE_END.sub("", clean(message)))
    customer = clean_name(found["customer"]) if found else ""
    if found is None or not customer or _NO_CUSTOMER.search(customer):
        return Request()
    try:
        return Request(
            customer=customer, items=parse_items(found["items"] or found["things"] or "")
        )
    except Refused:
        return Request(customer=customer)


def read_customer(text: str) -> Request:
    """Read an answer to "which customer?"; it may bring items: "Acme with 3 laptops at 1200"."""
    text = _IT_IS.sub("", POLITE_END.sub("", clean(text)), count=1)
    anew = _ANEW.match(text)
    request = read_request(text if anew else f"invoice for {text}")
    # "Dinner with Andre" may be a customer.
    if anew or (request.items and all(item.quantity for item in request.items)):
        return Request(customer=read_name(request.customer), items=request.items)
    return Request(customer=read_name(text))


def read_items(text: str) -> list[Item]:
    """Read lines such as "2 x Desk Lamp @ 49.90 and 1 chair at 80"; Refused if there are none."""
    items = parse_items(text)
    if not items:
        raise Refused(f"I could not find an item in “{shorten(clean(text))}”.")
    return check_count(items)


def read_item(text: str) -> Item:
    """Read exactly one line."""
    items = read_items(text)
    if len(items) > 1:
        raise Refused("One product at a time, please.")
    return items[0]


def check_count(items: list[Item]) -> list[Item]:
    """Return *items*; refuse more of them than an invoice holds."""
    if len(items) > MAX_LINES:
        raise Refused(f"An invoice can have at most {MAX_LINES} lines, and these are {len(items)}.")
    return items


def parse_items(text: str) -> list[Item]:
    """Read the lines in *text*; Refused if one of them is unclear."""
    rows = [_BULLET.sub("", row).strip(" ,.!?") for row in _ROW.split(clean(text))]
    return [parse_item(row) for row in rows if row]


def parse_item(text: str) -> Item:
    """Read one line; Refused if it is unclear."""
    found = _ITEM.fullmatch(text)
    name = clean_name(found["name"]) if found else ""
    is_list = found and not found["quantity"] and re.search(r",|&|\b(?:and|plus)\b", name)
    if found is None or is_list or _NO_PRODUCT.search(name):
        raise Refused(f"I could not find an item in “{shorten(text)}”.")
    word = (found["quantity"] or "").casefold()
    item = Item(name=name, quantity=str(WORDS[word]) if word in WORDS else word or None)
    if found["price"]:
        item.price = found["price"].strip()
        one = item.quantity == "1" or re.search(rf"{EACH}$", item.price, re.I)
        item.unclear_price = bool(found["for"]) and not one
    return item
