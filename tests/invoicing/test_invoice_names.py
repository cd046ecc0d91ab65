import pytest

from workflows.invoicing.drafts import Known
from workflows.invoicing.names import match, product_name, singular


def exact(typed: str, *known: str, plurals: bool = True) -> str | None:
    found = match(typed, [Known(name=name) for name in known], plurals=plurals).exact
    return found.name if found else None


def similar(typed: str, *known: str) -> list[str]:
    return [found.name for found in match(typed, [Known(name=name) for name in known]).similar]


@pytest.mark.parametrize(
    ("typed", "known"),
    [
        ("laptops", "Laptop"),
        ("laptop", "Laptops"),
        ("desk lamps", "Desk Lamp"),
        ("batteries", "Battery"),
        ("boxes", "Box"),
        ("mice", "Mouse"),
        ("usb c hubs", "USB-C hub"),
        ("hours of consulting", "Hour of consulting"),
    ],
)
def test_plurals_are_the_same_product(typed: str, known: str) -> None:
    assert exact(typed, "Other", known) == known


@pytest.mark.parametrize("word", ["glass", "bus", "chassis", "gas"])
def test_what_is_no_plural_stays(word: str) -> None:
    assert singular(word) == word


def test_the_closest_spelling_wins() -> None:
    assert exact("chairs", "Chair", "Chairs") == "Chairs"


def test_two_that_are_equally_close_are_no_match() -> None:
    assert exact("desk-lamp", "Desk lamp", "Desk lamps") is None


def test_similar_names_come_the_best_first() -> None:
    known = ["Acme Trading International", "Zeta", "Acme Corp", "Acne", "Acme Ltd"]
    assert similar("Acme", *known) == [
        "Acme Trading International",
        "Acme Corp",
        "Acme Ltd",
        "Acne",
    ]
    assert similar("Jon Smith", "Joan Smythe", "John Smith") == ["John Smith", "Joan Smythe"]


def test_accents_make_names_similar() -> None:
    assert similar("Muller", "Müller") == ["Müller"]
    assert exact("Muller", "Müller") is None


def test_at_most_five_are_offered() -> None:
    assert len(similar("Acme", *[f"Acme {n}" for n in range(9)])) == 5


def test_a_customer_is_no_plural_and_a_legal_form_tells_two_apart() -> None:
    assert exact("Acme Ltd", "Acme Corp", plurals=False) is None
    assert exact("Banks", "Bank", plurals=False) is None
    assert exact("acme, ltd.", "Acme Ltd", plurals=False) == "Acme Ltd"


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("laptops", "Laptop"),
        ("Desk Lamps", "Desk Lamp"),
        ("hours of consulting", "Hour of consulting"),
        ("iPhone 15", "iPhone 15"),
        ("glass", "Glass"),
        ("cookies", "Cookie"),
    ],
)
def test_new_products_are_named_in_the_singular(typed: str, name: str) -> None:
    assert product_name(typed) == name
