"""The summary, and the changes that the user makes to it before the last yes."""

from collections.abc import Callable

from examples.invoicing.amounts import format_money, read_price, read_quantity, shorten
from examples.invoicing.drafts import Draft, Line, Request
from examples.invoicing.edits import Edit, Kind, find_lines, parse_edits
from examples.invoicing.limits import MAX_LINES, MAX_TOTAL, Refused
from examples.invoicing.parsing import clean, parse_item
from examples.invoicing.questions import (
    numbered,
    read_address,
    read_email,
    read_phone,
)
from examples.invoicing.resolving import (
    resolve_customer,
    resolve_items,
    resolve_lines,
)
from workflows import Context

QUESTION = (
    "Shall I create this invoice? Answer yes or no, or say what to change, such as "
    "“change the quantity to 3”."
)
EXAMPLES = (
    "You can say, for example: “change the quantity to 3”, “change the price of chairs to 75”, "
    "“remove the chair”, “add 2 mice at 20” or “customer is Beta GmbH”."
)


def review(ctx: Context, draft: Draft) -> bool:
    """Show *draft* and change it as the user says, until they say yes (True) or no (False)."""
    note = ""
    while True:
        parts = [note, draft.summary(), QUESTION]
        answer = ctx.confirm("\n\n".join(filter(None, parts)), or_text=True)
        if isinstance(answer, str):
            note = apply_edits(ctx, draft, answer)
        elif answer and draft.total > MAX_TOTAL:
            note = f"The total of an invoice can be at most {format_money(MAX_TOTAL)}."
        else:
            return answer


def apply_edits(ctx: Context, draft: Draft, text: str) -> str:
    """Change *draft* as *text* says. Returns what could not be done, or nothing."""
    edits = parse_edits(text)
    if not edits:
        return f"I did not understand “{shorten(clean(text))}”. {EXAMPLES}"
    problems = []
    for edit in edits:
        try:
            _APPLY[edit.kind](ctx, draft, edit)
        except Refused as refused:
            problems.append(str(refused))
    return " ".join(problems)


def _change_quantity(ctx: Context, draft: Draft, edit: Edit) -> None:
    quantity = read_quantity(edit.value)
    _find_line(ctx, draft, edit.target).quantity = quantity


def _change_price(ctx: Context, draft: Draft, edit: Edit) -> None:
    price = read_price(edit.value)
    _find_line(ctx, draft, edit.target).price = price


def _change_line(ctx: Context, draft: Draft, edit: Edit) -> None:
    """Take "5 laptops at 1100" for the laptops that are there, or else add some."""
    (item,) = edit.items
    if item.quantity is not None and not find_lines(draft.lines, edit.target):
        _add(ctx, draft, edit)
        return
    if item.unclear_price:
        raise Refused(f"Is {item.price} for one or for all? Say “at …” for the price of one.")
    quantity = read_quantity(item.quantity) if item.quantity else None
    price = read_price(item.price) if item.price else None
    line = _find_line(ctx, draft, edit.target)
    line.quantity = line.quantity if quantity is None else quantity
    line.price = line.price if price is None else price


def _remove(ctx: Context, draft: Draft, edit: Edit) -> None:
    line = _find_line(ctx, draft, edit.target)
    # By identity: two lines may be equal.
    draft.lines = [other for other in draft.lines if other is not line]
    if not draft.lines:
        draft.lines = resolve_lines(ctx, [])


def _replace(ctx: Context, draft: Draft, edit: Edit) -> None:
    line = _find_line(ctx, draft, edit.target)
    item = parse_item(edit.value)
    keeps_quantity = item.quantity is None
    item.quantity = item.quantity or "1"
    for new in resolve_items(ctx, [item]):
        new.quantity = line.quantity if keeps_quantity else new.quantity
        draft.lines = [new if other is line else other for other in draft.lines]


def _add(ctx: Context, draft: Draft, edit: Edit) -> None:
    if len(draft.lines) + len(edit.items) > MAX_LINES:
        raise Refused(f"An invoice can have at most {MAX_LINES} lines.")
    draft.lines += resolve_items(ctx, edit.items)


def _change_customer(ctx: Context, draft: Draft, edit: Edit) -> None:
    draft.customer = resolve_customer(ctx, Request(customer=edit.value))


def _change_contact(_: Context, draft: Draft, edit: Edit) -> None:
    customer = draft.customer
    if customer.id is not None:
        raise Refused(f"{customer.name} is a known customer; I can't change their details here.")
    if edit.target.casefold() in {"email", "e-mail"}:
        customer.email = read_email(edit.value)
    elif edit.target.casefold() == "phone":
        customer.phone = read_phone(edit.value)
    else:
        customer.billing_address = read_address(edit.value)


def _find_line(ctx: Context, draft: Draft, target: str) -> Line:
    """Return the line that *target* means, asking where it may be several."""
    found = find_lines(draft.lines, target)
    if not found:
        raise Refused(f"There is no “{shorten(target)}” on this invoice.")
    if len(found) == 1:
        return draft.lines[found[0]]
    labels = [str(draft.lines[index]) for index in found]
    choices = [(f"line {index + 1}", label) for index, label in zip(found, labels, strict=True)]
    chosen = str(ctx.choose(numbered("Which line do you mean?", labels), choices))
    return draft.lines[int(chosen.removeprefix("line ")) - 1]


_APPLY: dict[Kind, Callable[[Context, Draft, Edit], None]] = {
    "quantity": _change_quantity,
    "price": _change_price,
    "line": _change_line,
    "remove": _remove,
    "replace": _replace,
    "add": _add,
    "customer": _change_customer,
    "contact": _change_contact,
}
