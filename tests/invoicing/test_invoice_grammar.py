import pytest

from workflows.invoicing.amounts import Refused
from workflows.invoicing.drafts import Item
from workflows.invoicing.grammar import (
    clean,
    read_customer,
    read_items,
    read_name,
    read_request,
)

Row = tuple[str, str | None, str | None]


def rows(items: list[Item]) -> list[Row]:
    return [(item.name, item.quantity, item.price) for item in items]


@pytest.mark.parametrize(
    ("message", "customer", "items"),
    [
        ("create invoice", "", []),
        ("Create an invoice, please", "", []),
        ("hello", "", []),
        ("what is an invoice?", "", []),
        ("create invoice for them", "", []),
        (
            "Create invoice for Acme with 3 laptops at 1200",
            "Acme",
            [("laptops", "3", "1200")],
        ),
        ("Create invoice for John Smith with 3 laptops", "John Smith", [("laptops", "3", None)]),
        (
            "bill John Smith for 3 hours of consulting at 90",
            "John Smith",
            [("hours of consulting", "3", "90")],
        ),
        ("invoice Acme: 3 laptops", "Acme", [("laptops", "3", None)]),
        (
            "Can you invoice Acme Inc. for a laptop at $1,200.50?",
            "Acme Inc.",
            [("laptop", "1", "$1,200.50")],
        ),
        ("please create a new invoice for Acme.", "Acme", []),
        (
            "new invoice: Acme, 3 laptops at 1200, 2 chairs at 80",
            "Acme",
            [("laptops", "3", "1200"), ("chairs", "2", "80")],
        ),
        (
            "invoice Acme for 3 laptops at 1.200,50 and 2 mice at 19,90",
            "Acme",
            [("laptops", "3", "1.200,50"), ("mice", "2", "19,90")],
        ),
        (
            "invoice Acme for 3 laptops at 1,200, 2 chairs at 80",
            "Acme",
            [("laptops", "3", "1,200"), ("chairs", "2", "80")],
        ),
        (
            "Create invoice for Acme\n3 laptops at 1200\n2 chairs at 80",
            "Acme",
            [("laptops", "3", "1200"), ("chairs", "2", "80")],
        ),
        ("Create invoice for Acme with 0 laptops", "Acme", [("laptops", "0", None)]),
        ("Create invoice for Acme with -3 laptops at -5", "Acme", [("laptops", "-3", "-5")]),
        (
            "create invoice for Acme with three laptops at 1200 and a mouse at 20",
            "Acme",
            [("laptops", "3", "1200"), ("mouse", "1", "20")],
        ),
        (
            "create invoice for Acme with 1 000 screws at 1 200.50",
            "Acme",
            [("screws", "1 000", "1 200.50")],
        ),
        ("create invoice for Acme with 3x laptop @1200", "Acme", [("laptop", "3", "1200")]),
    ],
)
def test_requests(message: str, customer: str, items: list[Row]) -> None:
    request = read_request(message)
    assert (request.customer, rows(request.items)) == (customer, items)


@pytest.mark.parametrize(
    ("message", "customer", "items"),
    [
        ("invoice Studio 54", "Studio 54", []),
        ("create invoice for Studio 54 with 2 cokes", "Studio 54", [("cokes", "2", None)]),
        ("create invoice for 3M with 2 tapes at 5", "3M", [("tapes", "2", "5")]),
        ("invoice for A Better Company: 3 hats", "A Better Company", [("hats", "3", None)]),
        ("invoice Acme & Sons for 3 hats", "Acme & Sons", [("hats", "3", None)]),
        ("bill Bill Gates for 3 hats", "Bill Gates", [("hats", "3", None)]),
        ("invoice Notebook Ltd. for 3 hats", "Notebook Ltd.", [("hats", "3", None)]),
        ("invoice Acme for 3 nuts and bolts at 2", "Acme", [("nuts and bolts", "3", "2")]),
        ("invoice Acme for 2 iPhone 15 at 900", "Acme", [("iPhone 15", "2", "900")]),
        ("invoice Acme for 2 iPhone 15", "Acme", [("iPhone 15", "2", None)]),
    ],
)
def test_names_that_look_like_something_else(message: str, customer: str, items: list[Row]) -> None:
    request = read_request(message)
    assert (request.customer, rows(request.items)) == (customer, items)


@pytest.mark.parametrize(
    ("message", "customer"),
    [
        ("2 x Desk Lamp @ 49.90 and 1 chair at 80", ""),
        ("create an invoice with 3 laptops at 1200 for Acme", ""),
        ("3 laptops at 1200 for Acme, invoice please", ""),
        ("invoice for 3 laptops at 1200", ""),
        ("invoice for Acme 3 laptops at 1200", ""),
        ("invoice Acme for 3 laptops, 1200 each, and 2 chairs, 80 EUR each", "Acme"),
        ("invoice\ncustomer: Acme\nitems:\n- 3 laptops at 1200\n- 2 chairs at 80", ""),
        ("Create invoice for Acme with laptops at 1200 and chairs at 80", "Acme"),
        ("Create invoice for Acme with laptops and chairs", "Acme"),
        ("create invoice for Acme with Desk Lamp x 2 @ 9", "Acme"),
        ("create invoice for Acme with 3 pcs of lamp at 9", "Acme"),
        ("create invoice for 7 Eleven with 2 cokes at 1", ""),
        ("invoice Center for Art for 3 hats", ""),
    ],
)
def test_what_is_not_sure_is_asked_for(message: str, customer: str) -> None:
    """A question more is fine; a wrong invoice never is."""
    request = read_request(message)
    assert (request.customer, request.items) == (customer, [])


@pytest.mark.parametrize(
    "text",
    [
        *("laptops and chairs", "Desk Lamp x 2 @ 9", "3 pcs of lamp at 9", "laptops (3) at 1200"),
        *(
            "3 laptops priced at 1200",
            "3 laptops 1200 EUR",
            "laptop 3x",
            "3 laptops at 1200 for Acme",
        ),
        *(
            "3 laptops costing 1200",
            "3 laptops at a price of 1200",
            "1200 each",
            "3 laptops à 1200",
        ),
    ],
)
def test_an_item_that_is_not_sure_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="could not find an item"):
        read_items(text)


@pytest.mark.parametrize(
    ("text", "row"),
    [
        ("axe at 20", ("axe", None, "20")),
        ("tent", ("tent", None, None)),
        ("2 4K monitors at 300", ("4K monitors", "2", "300")),
        ("3 cases for iPhone 15 at 20", ("cases for iPhone 15", "3", "20")),
        ("2 x 1/4 inch screws at .05", ("1/4 inch screws", "2", ".05")),
    ],
)
def test_names_that_look_like_numbers(text: str, row: Row) -> None:
    assert rows(read_items(text)) == [row]


@pytest.mark.parametrize(
    ("text", "unclear"),
    [
        ("3 laptops for 1200", True),
        ("3 laptops for 1200 each", False),
        ("a laptop for 1200", False),
        ("3 laptops for 1200 EUR", True),
        ("laptops for 1200", True),
        ("3 laptops at 1200", False),
    ],
)
def test_for_may_be_one_price_or_the_sum(text: str, unclear: bool) -> None:
    assert read_items(text)[0].unclear_price is unclear


@pytest.mark.parametrize(
    ("answer", "customer"),
    [
        ("Acme", "Acme"),
        ("It's for Acme, please", "Acme"),
        ("the customer is Acme Inc.", "Acme Inc."),
        ("“Acme”", "Acme"),
        ("7 Eleven", "7 Eleven"),
        ("Bill Gates", "Bill Gates"),
        ("create an invoice for Acme", "Acme"),
        ("Dinner with Andre", "Dinner with Andre"),
        ("Center for Art", "Center for Art"),
        ("  Acme\x00 \x1b Ltd  ", "Acme Ltd"),
    ],
)
def test_answers_that_name_a_customer(answer: str, customer: str) -> None:
    assert read_customer(answer).customer == customer


def test_an_answer_may_bring_items_along() -> None:
    request = read_customer("Acme with 3 laptops at 1200")
    assert (request.customer, rows(request.items)) == ("Acme", [("laptops", "3", "1200")])


@pytest.mark.parametrize("text", ["", "???", "\x00\x01", "x" * 201])
def test_names_that_are_refused(text: str) -> None:
    with pytest.raises(Refused):
        read_name(text)


@pytest.mark.parametrize("answer", ["create invoice", "create an invoice for them", "???", ""])
def test_answers_that_name_nobody(answer: str) -> None:
    with pytest.raises(Refused):
        read_customer(answer)


@pytest.mark.parametrize("text", ["", "3", "???", "yes", "\n".join(["1 hat"] * 51)])
def test_items_that_are_refused(text: str) -> None:
    with pytest.raises(Refused):
        read_items(text)


def test_control_characters_are_dropped_and_lines_kept() -> None:
    assert clean(" a\x00b\x1b\r\nc\td ") == "ab\nc d"
