"""The summary, and the changes that the user makes to it before the last yes."""

import re
from collections.abc import Callable

from chatflow.workflows import Context
from workflows.invoicing import amounts, grammar, questions
from workflows.invoicing.amounts import Refused
from workflows.invoicing.drafts import MAX_LINES, Draft, Known, Line, Request
from workflows.invoicing.lookup import resolve_customer, resolve_items, resolve_lines
from workflows.invoicing.names import match

QUESTION = (
    "Shall I create this invoice? Answer yes or no, or say what to change, such as "
    "“change the quantity to 3”."
)
EXAMPLES = (
    "You can say, for example: “change the quantity to 3”, “change the price of chairs to 75”, "
    "“remove the chair”, “add 2 mice at 20” or “customer is Beta GmbH”."
)
# One change, and the user's words for it.
Change = tuple[Callable[..., None], dict[str, str]]


def review(ctx: Context, draft: Draft) -> bool:
    """Show *draft* and change it as the user says, until they say yes (True) or no (False)."""
    note = ""
    while True:
        parts = [note, str(draft), QUESTION]
        answer = ctx.confirm("\n\n".join(filter(None, parts)), or_text=True)
        if isinstance(answer, str):
            note = _change(ctx, draft, answer)
        elif answer and draft.total > amounts.MAX_TOTAL:
            most = amounts.format_money(amounts.MAX_TOTAL)
            note = f"The total of an invoice can be at most {most}."
        else:
            return answer


def _change(ctx: Context, draft: Draft, text: str) -> str:
    """Change *draft* as *text* says. Returns the problems, or nothing."""
    changes = read_changes(text)
    if not changes:
        return f"I did not understand “{amounts.shorten(grammar.clean(text))}”. {EXAMPLES}"
    problems = []
    for change, said in changes:
        try:
            change(ctx, draft, **said)
        except Refused as refused:
            problems.append(str(refused))
    return " ".join(problems)


# The changes. Their arguments are the named groups of the patterns below.


def _set_amount(ctx: Context, draft: Draft, target: str, value: str, noun: str = "") -> None:
    if "price" in noun.casefold():
        price = amounts.read_price(value)
        _find_line(ctx, draft, target).price = price
    else:
        quantity = amounts.read_quantity(value)
        _find_line(ctx, draft, target).quantity = quantity


def _set_line(ctx: Context, draft: Draft, value: str) -> None:
    """Take "5 laptops at 1100" for the laptops that are there, or else add some."""
    item = grammar.parse_item(value)
    if not _lines(draft, item.name):
        _add(ctx, draft, value)
    elif item.unclear_price:
        raise Refused(f"Is {item.price} for one or for all? Say “at …” for the price of one.")
    else:
        quantity = amounts.read_quantity(item.quantity or "")
        price = amounts.read_price(item.price) if item.price else None
        line = _find_line(ctx, draft, item.name)
        line.quantity, line.price = quantity, line.price if price is None else price


def _remove(ctx: Context, draft: Draft, target: str) -> None:
    line = _find_line(ctx, draft, target)
    # By identity: two lines may be equal.
    others = [other for other in draft.lines if other is not line]
    draft.lines = others or resolve_lines(ctx, [])


def _replace(ctx: Context, draft: Draft, target: str, value: str) -> None:
    line = _find_line(ctx, draft, target)
    new = resolve_items(ctx, grammar.parse_items(value))
    place = [other is line for other in draft.lines].index(True)
    draft.lines[place : place + 1] = new or [line]


def _add(ctx: Context, draft: Draft, value: str) -> None:
    items = grammar.parse_items(value)
    if len(draft.lines) + len(items) > MAX_LINES:
        raise Refused(f"An invoice can have at most {MAX_LINES} lines.")
    draft.lines += resolve_items(ctx, items)


def _set_customer(ctx: Context, draft: Draft, value: str) -> None:
    draft.customer = resolve_customer(ctx, Request(customer=grammar.clean_name(value)))


def _set_contact(_: Context, draft: Draft, target: str, value: str) -> None:
    customer, field = draft.customer, target[0].casefold()
    if customer.id is not None:
        raise Refused(f"{customer.name} is a known customer; I can't change their details here.")
    if field == "e":
        customer.email = questions.read_email(value)
    elif field == "p":
        customer.phone = questions.read_phone(value)
    else:
        customer.billing_address = questions.read_address(value)


def _find_line(ctx: Context, draft: Draft, target: str) -> Line:
    """Return the line that *target* means, asking where it may be several."""
    found = _lines(draft, target)
    if not found:
        raise Refused(f"There is no “{amounts.shorten(target)}” on this invoice.")
    if len(found) == 1:
        return found[0]
    options = {f"line {number}": str(line) for number, line in enumerate(found, 1)}
    value = questions.pick(ctx, "Which line do you mean?", options)
    return found[list(options).index(value)]


def _lines(draft: Draft, target: str) -> list[Line]:
    """Return the lines that *target* may mean; all of them when it is empty."""
    if number := re.fullmatch(r"(?:(?:line|item|number)\s*|#)(\d{1,3})", target, re.I):
        return [line for place, line in enumerate(draft.lines, 1) if place == int(number[1])]
    if target.casefold() in {"", "it", "that"}:
        return draft.lines
    known = [Known(id=place, name=line.name) for place, line in enumerate(draft.lines)]
    found = match(grammar.clean_name(target), known, plurals=True)
    meant = [one.id for one in ([found.exact] if found.exact else found.similar)]
    return [line for place, line in enumerate(draft.lines) if place in meant]


_VERB = r"(?:(?:change|set|make|update|correct|increase|decrease|reduce|raise|lower)\s+)"
_THE = r"(?:the\s+)?"
_IS = r"\s*(?:\b(?:to|is|should\s+be)\b|=|:)\s*"
_NOUN = r"(?:quantity|qty|(?:unit\s+)?price)"
_CONTACT = r"(?P<target>e-?mail|phone|(?:billing\s+)?address)(?:\s+(?:address|number))?"
_VALUE = rf"(?:\s+from\s+\S+)?(?:{_IS}|\s+(?={amounts.MONEY}$))(?P<value>\S.*)"
# In order: the first that fits counts.
_CHANGES: list[tuple[Callable[..., None], str]] = [
    (_set_contact, rf"{_VERB}?{_THE}{_CONTACT}{_IS}(?P<value>\S.*)"),
    (_set_customer, rf"{_VERB}?{_THE}(?:customer|client){_IS}(?P<value>\S.*)"),
    (_remove, rf"(?:remove|delete|drop)\s+{_THE}(?P<target>(?!{grammar.COUNT})\S.*)"),
    (_replace, rf"(?:replace|swap)\s+{_THE}(?P<target>.+?)\s+(?:with|by)\s+(?P<value>\S.*)"),
    (_add, r"(?:add|include|also|plus)\s+(?P<value>\S.*?)(?:\s+to\s+(?:it|the\s+invoice))?"),
    (_set_amount, rf"{_VERB}?{_THE}(?P<noun>{_NOUN})(?:\s+of\s+{_THE}(?P<target>.+?))?{_VALUE}"),
    (_set_amount, rf"{_VERB}?{_THE}(?P<target>.+?)(?:['’]s)?\s+(?P<noun>{_NOUN}){_VALUE}"),
    (_set_amount, rf"{_VERB}(?:it|{_THE}(?P<target>.+?)\s+to)\s+(?P<value>{amounts.MONEY})"),
    (_set_line, rf"(?:{_VERB}it\s+(?:to\s+)?)?(?P<value>{grammar.COUNT}.+)"),
]
_PATTERNS = [(change, re.compile(pattern, re.I | re.DOTALL)) for change, pattern in _CHANGES]
# Where a second change begins: "remove the chair and add 2 mice at 20".
_NEXT = re.compile(
    rf"(?:[,;\n.]|\band\b)\s*(?:and\s+)?(?={_VERB}|(?:remove|delete|add|replace)\b|{_THE}{_NOUN}\b)",
    re.I,
)
_OPENING = re.compile(
    r"(?:(?:please|yes|no|ok|okay|looks\s+good|but|actually|wait)[\s,.!:-]+)*", re.I
)


def read_changes(text: str) -> list[Change]:
    """Read one or several changes. An empty list means that some part wasn't understood."""
    text = grammar.POLITE_END.sub("", _OPENING.sub("", grammar.clean(text), count=1))
    changes = [_read_change(part) for part in _NEXT.split(text)]
    if None in changes:
        # Two apparent changes may be one with "and" in a name.
        changes = [_read_change(text)]
    return [change for change in changes if change]


def _read_change(text: str) -> Change | None:
    for change, pattern in _PATTERNS:
        if found := pattern.fullmatch(text.strip(" ,;.!?\n")):
            return change, {name: (said or "").strip() for name, said in found.groupdict().items()}
    return None
