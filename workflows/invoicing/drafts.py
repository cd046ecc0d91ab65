"""The invoice that a conversation is about, before anything is written."""

from dataclasses import dataclass, field
from decimal import Decimal

from workflows.invoicing.amounts import format_money, format_quantity, round_money

MAX_LINES = 50
MAX_NAME = 200
MAX_PHONE = 50
MAX_ADDRESS = 500


@dataclass(kw_only=True)
class Item:
    """A line as it was typed. Numbers stay text until they are checked: a 0 isn't a missing one."""

    name: str
    quantity: str | None = None
    price: str | None = None
    # "3 laptops for 1200": whether that is one price or the whole sum, only the user knows.
    unclear_price: bool = False


@dataclass(kw_only=True)
class Request:
    """What the first message says."""

    customer: str = ""
    items: list[Item] = field(default_factory=list)


@dataclass(kw_only=True)
class Known:
    """A customer or a product; one without an id is yet to be created."""

    id: int | None = None
    name: str
    # A product's price, as text.
    price: str | None = None


@dataclass(kw_only=True)
class Matches:
    """Matches of a name: the one it names, or else similar ones, the best first."""

    exact: Known | None = None
    similar: list[Known] = field(default_factory=list)


@dataclass(kw_only=True)
class Customer:
    """Who pays. Without an id it is a new customer, written together with the invoice."""

    id: int | None = None
    name: str
    email: str = ""
    phone: str = ""
    billing_address: str = ""

    def __str__(self) -> str:
        contact = [self.email, self.phone, self.billing_address.replace("\n", ", ")]
        return f"customer {self.name} ({', '.join(filter(None, contact))})"


@dataclass(kw_only=True)
class Line:
    """A line that is complete. Without a product_id it brings a new product along."""

    name: str
    quantity: Decimal
    price: Decimal
    product_id: int | None = None

    @property
    def total(self) -> Decimal:
        return round_money(self.quantity * self.price)

    def __str__(self) -> str:
        count, price = format_quantity(self.quantity), format_money(self.price)
        return f"{count} × {self.name} at {price} = {format_money(self.total)}"


@dataclass(kw_only=True)
class Draft:
    """All that the invoice will say; as text, for the user to check."""

    customer: Customer
    lines: list[Line]

    @property
    def total(self) -> Decimal:
        return sum((line.total for line in self.lines), Decimal("0.00"))

    def __str__(self) -> str:
        rows = "\n".join(f"{number}. {line}" for number, line in enumerate(self.lines, 1))
        text = f"Invoice for {self.customer.name}\n\n{rows}\n\nTotal: {format_money(self.total)}"
        new = [str(self.customer)] if self.customer.id is None else []
        new += [f"product {line.name}" for line in self.lines if line.product_id is None]
        return f"{text}\n\nAlso to be created: {', '.join(dict.fromkeys(new))}." if new else text
