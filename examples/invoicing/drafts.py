"""The invoice that a conversation is about, before anything is written."""

from dataclasses import dataclass, field
from decimal import Decimal

from examples.invoicing.amounts import format_money, format_quantity, round_money


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
class Customer:
    """Who pays. Without an id it is a new customer, written together with the invoice."""

    id: int | None = None
    name: str
    email: str = ""
    phone: str = ""
    billing_address: str = ""


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
        return (
            f"{format_quantity(self.quantity)} × {self.name} at {format_money(self.price)}"
            f" = {format_money(self.total)}"
        )


@dataclass(kw_only=True)
class Draft:
    """All that the invoice will say."""

    customer: Customer
    lines: list[Line]

    @property
    def total(self) -> Decimal:
        return sum((line.total for line in self.lines), Decimal("0.00"))

    def summary(self) -> str:
        """Write the draft out for the user to check."""
        lines = [f"{number}. {line}" for number, line in enumerate(self.lines, 1)]
        parts = [
            f"Invoice for {self.customer.name}",
            "\n".join(lines),
            f"Total: {format_money(self.total)}",
        ]
        if news := self._news():
            parts.append(f"Also to be created: {news}.")
        return "\n\n".join(parts)

    def _news(self) -> str:
        news = [f"product {line.name}" for line in self.lines if line.product_id is None]
        if self.customer.id is None:
            address = self.customer.billing_address.replace("\n", ", ")
            contact = [self.customer.email, self.customer.phone, address]
            news.insert(0, f"customer {self.customer.name} ({', '.join(filter(None, contact))})")
        return ", ".join(dict.fromkeys(news))
