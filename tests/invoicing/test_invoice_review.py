from decimal import Decimal

import pytest

from workflows.invoicing import review
from workflows.invoicing.drafts import Customer, Draft, Line


@pytest.mark.parametrize(
    ("text", "changes"),
    [
        ("change the quantity to 3", ["amount quantity||3"]),
        ("change the laptop quantity to 3", ["amount quantity|laptop|3"]),
        ("change the notebook quantity to 3", ["amount quantity|notebook|3"]),
        ("the quantity of line 2 to 7", ["amount quantity|line 2|7"]),
        ("qty of laptops: 5", ["amount qty|laptops|5"]),
        ("laptop quantity 3", ["amount quantity|laptop|3"]),
        ("change quantity from 3 to 5", ["amount quantity||5"]),
        ("make it 3", ["amount ||3"]),
        ("change laptops to 5", ["amount |laptops|5"]),
        ("change the quantity to 0", ["amount quantity||0"]),
        ("change the quantity to lots", ["amount quantity||lots"]),
        ("change the nuts and bolts quantity to 3", ["amount quantity|nuts and bolts|3"]),
        ("change the price of chairs to 75", ["amount price|chairs|75"]),
        ("set the laptop's unit price to € 49,90", ["amount unit price|laptop|€ 49,90"]),
        ("no, the price is 75", ["amount price||75"]),
        ("looks good but the price should be 80", ["amount price||80"]),
        ("remove the chair", ["remove chair"]),
        ("please delete line 2, thanks", ["remove line 2"]),
        ("replace laptops with desktops", ["replace laptops|desktops"]),
        ("customer is Beta GmbH", ["customer Beta GmbH"]),
        ("the customer should be Smith and Sons", ["customer Smith and Sons"]),
        ("email is a@b.test", ["contact email|a@b.test"]),
        ("change the phone number to 12345", ["contact phone|12345"]),
        ("add 2 mice at 20", ["add 2 mice at 20"]),
        ("wait, also add 2 mice to the invoice, please", ["add add 2 mice"]),
        ("add 2 mice at 20 and a hat", ["add 2 mice at 20 and a hat"]),
        ("actually, make it 10 laptops", ["line 10 laptops"]),
        ("5 laptops at 1100", ["line 5 laptops at 1100"]),
        ("make it 3 laptops for 1000", ["line 3 laptops for 1000"]),
        (
            "change the quantity to 3 and the price to 75",
            ["amount quantity||3", "amount price||75"],
        ),
        (
            "change the laptop quantity to 3, change the price of chairs to 75",
            ["amount quantity|laptop|3", "amount price|chairs|75"],
        ),
        ("remove the chair and add 2 mice at 20", ["remove chair", "add 2 mice at 20"]),
    ],
)
def test_changes(text: str, changes: list[str]) -> None:
    found = []
    for change, said in review.read_changes(text):
        names = [name for name in ("noun", "target", "value") if name in said]
        if change is review._set_amount:
            said.setdefault("noun", "")
            names = ["noun", "target", "value"]
        kind = change.__name__.removeprefix("_set_").removeprefix("_")
        found.append(f"{kind} {'|'.join(said.get(name, '') for name in names)}")
    assert found == changes


@pytest.mark.parametrize(
    "text",
    [
        "",
        "what?",
        "notebook",
        "3",
        "foo bar",
        "remove 1 chair",
        "???",
        "raise the price by 10",
        "change 2 laptops to 3 laptops",
    ],
)
def test_what_is_no_change(text: str) -> None:
    assert review.read_changes(text) == []


@pytest.mark.parametrize(
    ("target", "indexes"),
    [
        ("", [0, 1, 2, 3]),
        ("it", [0, 1, 2, 3]),
        ("laptops", [0]),
        ("LAPTOP", [0]),
        ("laptpo", [0]),
        ("lamp", [1, 2]),
        ("desk lamps", [1]),
        ("line 4", [3]),
        ("#1", [0]),
        ("line 5", []),
        ("line 0", []),
        ("okra", []),
    ],
)
def test_the_lines_that_a_word_means(target: str, indexes: list[int]) -> None:
    names = ["Laptop", "Desk lamp", "Floor lamp", "Chair"]
    lines = [Line(name=name, quantity=Decimal(1), price=Decimal(1)) for name in names]
    draft = Draft(customer=Customer(name="Acme"), lines=lines)
    assert [names.index(line.name) for line in review._lines(draft, target)] == indexes
