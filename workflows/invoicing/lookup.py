"""From names to a customer and to products: known ones, similar ones, or new ones."""

from chatflow.workflows import Context
from workflows.invoicing import amounts, grammar, questions
from workflows.invoicing.drafts import Customer, Item, Known, Line, Matches, Request
from workflows.invoicing.names import product_name
from workflows.invoicing.questions import ask_optional, ask_until, pick
from workflows.invoicing.records import find_customer, find_products

WHICH_CUSTOMER = "Which customer is the invoice for?"
WHICH_ITEMS = "What should be on the invoice? For example: 3 laptops at 1200."


def resolve_customer(ctx: Context, request: Request) -> Customer:
    """Return the customer of *request*, asking where it is missing, unclear or unknown.

    Items that the user names along with the customer are put into *request*.
    """
    said = ask_until(ctx, WHICH_CUSTOMER, grammar.read_customer, request.customer or None)
    request.items = request.items or said.items
    name = said.customer
    matches = ctx.step("Looking up the customer", find_customer, ctx.user.pk, name)
    known = matches.exact or _known_or_new(ctx, "customer", name, name, matches)
    if known is None:
        request.customer = ""
        return resolve_customer(ctx, request)
    if known.id is not None:
        return Customer(id=known.id, name=known.name)
    email = ask_until(ctx, f"What is the email address of {name}?", questions.read_email)
    phone = ask_optional(ctx, f"What is the phone number of {name}?", questions.read_phone)
    place = ask_optional(ctx, f"What is the billing address of {name}?", questions.read_address)
    return Customer(name=name, email=email, phone=phone or "", billing_address=place or "")


def _known_or_new(ctx: Context, kind: str, typed: str, name: str, found: Matches) -> Known | None:
    """Let the user choose among similar ones and a new one called *name*; None is neither."""
    if found.similar:
        options = {f"id {known.id}": known.name for known in found.similar}
        question = f"Which {kind} do you mean by “{typed}”?"
        value = pick(ctx, question, {**options, "new": "Create new"})
        return {f"id {known.id}": known for known in found.similar}.get(value, Known(name=name))
    create = ctx.confirm(f"I don't know a {kind} called “{name}”. Shall I create it?")
    return Known(name=name) if create else None


def resolve_lines(ctx: Context, items: list[Item]) -> list[Line]:
    """Return the lines for *items*, at least one: without any the user is asked for them."""
    question = WHICH_ITEMS
    while True:
        try:
            if lines := resolve_items(ctx, grammar.check_count(items)):
                return lines
        except amounts.Refused as refused:
            question = f"{refused} {WHICH_ITEMS}"
        items = ask_until(ctx, question, grammar.read_items)


def resolve_items(ctx: Context, items: list[Item]) -> list[Line]:
    """Return the lines for *items*, asking for missing values; the user may leave lines out."""
    for item in items:
        what = "What should the product be called?"
        item.name = ask_until(ctx, what, grammar.read_name, item.name)
    found = _find(ctx, items) if items else []
    approved = _approve(ctx, items, found)
    pairs = zip(items, found, strict=True)
    lines = [_line(ctx, item, matches, approved) for item, matches in pairs]
    return [line for line in lines if line is not None]


def _find(ctx: Context, items: list[Item]) -> list[Matches]:
    typed = [item.name for item in items]
    return ctx.step("Looking up the products", find_products, ctx.user.pk, typed)


def _approve(ctx: Context, items: list[Item], found: list[Matches]) -> set[str]:
    """Ask about several unknown products at once; after a no they are asked about one by one."""
    pairs = zip(items, found, strict=True)
    names = [product_name(item.name) for item, one in pairs if not (one.exact or one.similar)]
    listed = ", ".join(f"“{name}”" for name in dict.fromkeys(names))
    prompt = f"I don't know these products: {listed}. Shall I create them?"
    return set(names) if len(set(names)) > 1 and ctx.confirm(prompt) else set()


def _line(ctx: Context, item: Item, matches: Matches, approved: set[str]) -> Line | None:
    product = _product(ctx, item, matches, approved)
    if product is None:
        return None
    how_many = f"How many of “{product.name}” should be on the invoice?"
    quantity = ask_until(ctx, how_many, amounts.read_quantity, item.quantity)
    what, given = f"What is the price of one “{product.name}”?", item.price or product.price
    if item.unclear_price:
        what, given = f"You wrote “for {item.price}”. {what}", None
    price = ask_until(ctx, what, amounts.read_price, given)
    return Line(name=product.name, quantity=quantity, price=price, product_id=product.id)


def _product(ctx: Context, item: Item, matches: Matches, approved: set[str]) -> Known | None:
    name = product_name(item.name)
    if matches.exact or name in approved:
        return matches.exact or Known(name=name)
    if known := _known_or_new(ctx, "product", item.name, name, matches):
        # A new one may be on a later line too.
        approved |= set() if known.id else {name}
        return known
    instead = f"Which product should I take instead of “{name}”?"
    other = ask_optional(ctx, instead, grammar.read_item)
    if other is None:
        return None
    item.name, item.quantity = other.name, other.quantity or item.quantity
    if other.price:
        item.price, item.unclear_price = other.price, other.unclear_price
    return _product(ctx, item, _find(ctx, [item])[0], approved)
