import pytest

from examples.invoicing.matching import (
    customer_core,
    customer_key,
    exact,
    product_key,
    product_name,
    rank,
)


def same(name: str) -> str:
    return name


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
    assert exact(typed, ["Other", known], same, product_key) == known


@pytest.mark.parametrize("word", ["glass", "bus", "chassis", "gas"])
def test_singulars_that_end_in_s_stay(word: str) -> None:
    assert product_key(word) == word


def test_the_closest_spelling_wins() -> None:
    assert exact("chairs", ["Chair", "Chairs"], same, product_key) == "Chairs"


def test_two_that_are_equally_close_are_no_match() -> None:
    assert exact("desk-lamp", ["Desk lamp", "Desk lamps"], same, product_key) is None


def test_similar_names_come_the_best_first() -> None:
    known = ["Acme Trading International", "Zeta", "Acme Corp", "Acne Ltd", "Acme Ltd"]
    assert rank("Acme", known, same, customer_core) == [
        "Acme Corp",
        "Acme Ltd",
        "Acme Trading International",
        "Acne Ltd",
    ]


def test_accents_make_names_similar() -> None:
    assert rank("Muller", ["Müller GmbH"], same, customer_core) == ["Müller GmbH"]
    assert exact("Muller", ["Müller"], same, customer_key) is None


def test_at_most_five_are_offered() -> None:
    assert len(rank("Acme", [f"Acme {n}" for n in range(9)], same, customer_core)) == 5


def test_another_legal_form_is_only_similar() -> None:
    assert exact("Acme Ltd", ["Acme Corp"], same, customer_key) is None
    assert exact("acme, ltd.", ["Acme Ltd"], same, customer_key) == "Acme Ltd"


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("laptops", "Laptop"),
        ("Desk Lamps", "Desk Lamp"),
        ("hours of consulting", "Hour of consulting"),
        ("iPhone 15", "iPhone 15"),
        ("glass", "Glass"),
    ],
)
def test_new_products_are_named_in_the_singular(typed: str, name: str) -> None:
    assert product_name(typed) == name
