import time
from decimal import Decimal

import pytest

from examples.invoicing.drafts import Line
from examples.invoicing.edits import find_lines, parse_edits

Row = tuple[str, str, str]


@pytest.mark.parametrize(
    ("text", "edits"),
    [
        ("change the quantity to 3", [("quantity", "", "3")]),
        ("change the laptop quantity to 3", [("quantity", "laptop", "3")]),
        ("change the notebook quantity to 3", [("quantity", "notebook", "3")]),
        ("the quantity of line 2 to 7", [("quantity", "line 2", "7")]),
        ("qty of laptops: 5", [("quantity", "laptops", "5")]),
        ("laptop quantity 3", [("quantity", "laptop", "3")]),
        ("change quantity from 3 to 5", [("quantity", "", "5")]),
        ("make it 3", [("quantity", "", "3")]),
        ("change laptops to 5", [("quantity", "laptops", "5")]),
        ("notebooks: 3", [("quantity", "notebooks", "3")]),
        ("change the quantity to 0", [("quantity", "", "0")]),
        ("change the quantity to lots", [("quantity", "", "lots")]),
        ("change the nuts and bolts quantity to 3", [("quantity", "nuts and bolts", "3")]),
        ("change the price of chairs to 75", [("price", "chairs", "75")]),
        ("set the laptop's unit price to € 49,90", [("price", "laptop", "€ 49,90")]),
        ("no, the price is 75", [("price", "", "75")]),
        ("looks good but the price should be 80", [("price", "", "80")]),
        ("the chair costs 75", [("price", "chair", "75")]),
        ("remove the chair", [("remove", "chair", "")]),
        ("please delete line 2, thanks", [("remove", "line 2", "")]),
        ("replace laptops with desktops", [("replace", "laptops", "desktops")]),
        ("change the laptop to a desktop", [("replace", "laptop", "desktop")]),
        ("customer is Beta GmbH", [("customer", "", "Beta GmbH")]),
        ("the customer should be Smith and Sons", [("customer", "", "Smith and Sons")]),
        ("bill it to Beta", [("customer", "", "Beta")]),
        ("email is a@b.test", [("contact", "email", "a@b.test")]),
        (
            "change the quantity to 3 and the price to 75",
            [("quantity", "", "3"), ("price", "", "75")],
        ),
        (
            "change the laptop quantity to 3, change the price of chairs to 75",
            [("quantity", "laptop", "3"), ("price", "chairs", "75")],
        ),
    ],
)
def test_edits(text: str, edits: list[Row]) -> None:
    assert [(edit.kind, edit.target, edit.value) for edit in parse_edits(text)] == edits


@pytest.mark.parametrize(
    ("text", "kind", "items"),
    [
        ("add 2 mice at 20", "add", [("mice", "2", "20")]),
        ("also 3 chairs", "add", [("chairs", "3", None)]),
        ("add 2 mice at 20 and a hat", "add", [("mice", "2", "20"), ("hat", "1", None)]),
        ("actually, make it 10 laptops", "line", [("laptops", "10", None)]),
        ("5 laptops at 1100", "line", [("laptops", "5", "1100")]),
        ("laptops at 1100", "line", [("laptops", None, "1100")]),
    ],
)
def test_edits_that_name_items(
    text: str, kind: str, items: list[tuple[str, str | None, str | None]]
) -> None:
    (edit,) = parse_edits(text)
    found = [(item.name, item.quantity, item.price) for item in edit.items]
    assert (edit.kind, found) == (kind, items)


def test_a_second_change_may_follow() -> None:
    edits = parse_edits("remove the chair and add 2 mice at 20")
    assert [edit.kind for edit in edits] == ["remove", "add"]


@pytest.mark.parametrize("text", ["", "what?", "notebook", "3", "foo bar", "remove 1 chair", "???"])
def test_what_is_no_edit(text: str) -> None:
    assert parse_edits(text) == []


@pytest.mark.parametrize(
    ("target", "indexes"),
    [
        ("", [0, 1, 2, 3]),
        ("laptops", [0]),
        ("LAPTOP", [0]),
        ("laptpo", [0]),
        ("lamp", [1, 2]),
        ("desk lamps", [1]),
        ("line 4", [3]),
        ("#1", [0]),
        ("second item", [1]),
        ("last", [3]),
        ("line 5", []),
        ("line 0", []),
        ("okra", []),
    ],
)
def test_the_lines_that_a_word_means(target: str, indexes: list[int]) -> None:
    names = ["Laptop", "Desk lamp", "Floor lamp", "Chair"]
    lines = [Line(name=name, quantity=Decimal(1), price=Decimal(1)) for name in names]
    assert find_lines(lines, target) == indexes


@pytest.mark.parametrize(
    "unit", ["a ", "to 1 ", "price ", "x price ", "and ", "please ", "a costs 1 ", "1 200 "]
)
def test_the_longest_message_is_read_quickly(unit: str) -> None:
    started = time.process_time()
    parse_edits(("change the " + unit * 4000)[:4000])
    assert time.process_time() - started < 1
