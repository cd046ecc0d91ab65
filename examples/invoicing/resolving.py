"""From names to a customer and to products: known ones, similar ones, or new ones."""

from collections.abc import Sequence
from decimal import Decimal

from examples.invoicing.amounts import read_price, read_quantity
from examples.invoicing.drafts import Customer, Item, Line, Request
from examples.invoicing.invoices import Match, Matches, find_customer, find_products
from examples.invoicing.limits import Refused
from examples.invoicing.matching import product_name
from examples.invoicing.parsing import (
    check_count,
    read_customer,
    read_item,
    read_items,
    read_name,
)
from examples.invoicing.questions import (
    SKIP,
    agree,
    ask_optional,
    ask_until,
    pick,
    read_address,
    read_email,
    read_phone,
)
from workflows import Context

WHICH_CUSTOMER = "Which customer is the invoice for?"
WHICH_ITEMS = "What should be on the invoice? For example: 3 laptops at 1200."


def resolve_customer(ctx: Context, request: Request) -> Customer:
    """Return the customer of *request*, asking where it is missing, unclear or unknown.

    Items that the user names along with the customer are put into *request*.
    """
    given = request.customer or None
    while True:
        answer = ask_until(ctx, WHICH_CUSTOMER, read_customer, given)
        request.items = request.items or answer.items
        customer = _known_or_new(ctx, answer.customer)
        if customer is not None:
            return customer
        given = None


def _known_or_new(ctx: Context, name: str) -> Customer | None:
    matches = ctx.step("Looking up the customer", find_customer, ctx.user.pk, name)
    match = matches.exact
    if match is None and matches.similar:
        match = pick(ctx, f"Which customer do you mean by “{name}”?", matches.similar)
    elif match is None and not agree(
        ctx, f"I don't know a customer called “{name}”. Shall I create it?"
    ):
        return None
    return Customer(id=match.id, name=match.name) if match else _new_customer(ctx, name)


def _new_customer(ctx: Context, name: str) -> Customer:
    return Customer(
        name=name,
        email=ask_until(ctx, f"What is the email address of {name}?", read_email),
        phone=ask_optional(ctx, f"What is the phone number of {name}? {SKIP}", read_phone) or "",
        billing_address=ask_optional(
            ctx, f"What is the billing address of {name}? {SKIP}", read_address
        )
        or "",
    )


def resolve_lines(ctx: Context, items: list[Item]) -> list[Line]:
    """Return the lines for *items*, at least one: without any the user is asked for them."""
    problem = ""
    while True:
        try:
            lines = resolve_items(ctx, check_count(items))
        except Refused as refused:
            problem, lines = f"{refused} ", []
        if lines:
            return lines
        items = ask_until(ctx, f"{problem}{WHICH_ITEMS}", read_items)


def resolve_items(ctx: Context, items: list[Item]) -> list[Line]:
    """Return the lines for *items*, asking for what is missing; the user may leave lines out."""
    if not items:
        return []
    for item in items:
        item.name = ask_until(ctx, "What should the product be called?", read_name, item.name)
    names = [item.name for item in items]
    found = ctx.step("Looking up the products", find_products, ctx.user.pk, names)
    approved = _approve(ctx, names, found)
    lines = [_line(ctx, item, match, approved) for item, match in zip(items, found, strict=True)]
    return [line for line in lines if line is not None]


def _approve(ctx: Context, names: Sequence[str], found: Sequence[Matches]) -> set[str]:
    """Ask about several unknown products at once; after a no they are asked about one by one."""
    unknown = [
        product_name(name)
        for name, matches in zip(names, found, strict=True)
        if not (matches.exact or matches.similar)
    ]
    unknown = list(dict.fromkeys(unknown))
    if len(unknown) < 2:
        return set()
    listed = ", ".join(f"“{name}”" for name in unknown)
    prompt = f"I don't know these products: {listed}. Shall I create them?"
    return set(unknown) if agree(ctx, prompt) else set()


def _line(ctx: Context, item: Item, matches: Matches, approved: set[str]) -> Line | None:
    product = _product(ctx, item, matches, approved)
    if product is None:
        return None
    prompt = f"How many of “{product.name}” should be on the invoice?"
    quantity = ask_until(ctx, prompt, read_quantity, item.quantity)
    price = _price(ctx, item, product)
    return Line(name=product.name, quantity=quantity, price=price, product_id=product.id)


def _product(ctx: Context, item: Item, matches: Matches, approved: set[str]) -> Match | None:
    while not matches.exact:
        name = product_name(item.name)
        if matches.similar:
            chosen = pick(ctx, f"Which product do you mean by “{item.name}”?", matches.similar)
            return chosen or Match(name=name)
        question = f"I don't know a product called “{name}”. Shall I create it?"
        if name in approved or agree(ctx, question):
            # The same product may be on a later line too.
            approved.add(name)
            return Match(name=name)
        instead = f"Which product should I take instead of “{name}”? Say “skip” to leave it out."
        other = ask_optional(ctx, instead, read_item)
        if other is None:
            return None
        _take(item, other)
        (matches,) = ctx.step("Looking up the products", find_products, ctx.user.pk, [item.name])
    return matches.exact


def _take(item: Item, other: Item) -> None:
    item.name = other.name
    item.quantity = other.quantity or item.quantity
    if other.price:
        item.price, item.unclear_price = other.price, other.unclear_price


def _price(ctx: Context, item: Item, product: Match) -> Decimal:
    prompt = f"What is the price of one “{product.name}”?"
    if item.unclear_price:
        return ask_until(ctx, f"You wrote “for {item.price}”. {prompt}", read_price)
    return ask_until(ctx, prompt, read_price, item.price or product.price)
