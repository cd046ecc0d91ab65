from decimal import Decimal

import pytest

from workflows.invoicing.amounts import (
    Refused,
    format_money,
    format_quantity,
    parse_number,
    read_price,
    read_quantity,
    round_money,
)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("3", "3"),
        ("1,200", "1200"),
        ("1.200", "1200"),
        ("1.200,50", "1200.50"),
        ("1,200.50", "1200.50"),
        ("1 200", "1200"),
        ("1\u00a0200,5", "1200.5"),
        ("1'200.50", "1200.50"),
        ("1.200.300", "1200300"),
        ("1200,5", "1200.5"),
        ("49.90", "49.90"),
        ("49,9", "49.9"),
        ("0.125", "0.125"),
        ("1200.300", "1200.3"),
        ("0,125", "0.125"),
        (".5", "0.5"),
        ("three", "3"),
        ("A dozen", "12"),
        ("0", "0"),
    ],
)
def test_numbers_are_read_as_people_type_them(text: str, number: str) -> None:
    assert parse_number(text) == Decimal(number)


@pytest.mark.parametrize(
    "text", ["", "x", "1..2", "1,2,3", "1,200.300,50", "3 or 4", "notebook", "1,20,300"]
)
def test_anything_else_is_no_number(text: str) -> None:
    assert parse_number(text) is None


@pytest.mark.parametrize(
    ("text", "price"),
    [
        ("$1,200", "1200.00"),
        ("€ 49,90", "49.90"),
        ("1200 EUR each", "1200.00"),
        ("90/h", "90.00"),
        ("90 an hour", "90.00"),
        ("it's 20.", "20.00"),
        ("free", "0.00"),
        ("0", "0.00"),
        ("0.005", "0.01"),
        ("0.004", "0.00"),
        ("99999999.99", "99999999.99"),
    ],
)
def test_prices(text: str, price: str) -> None:
    assert str(read_price(text)) == price


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("-5", "A price can't be negative."),
        ("100000000", "A price can be at most 99,999,999.99."),
        ("9" * 30, "A price can be at most 99,999,999.99."),
        ("lots", "I could not read “lots” as a price."),
        ("a", "I could not read “a” as a price."),
        ("10 or 20", "I could not read “10 or 20” as a price."),
    ],
)
def test_refused_prices(text: str, reason: str) -> None:
    with pytest.raises(Refused, match=f"^{reason}$"):
        read_price(text)


@pytest.mark.parametrize(
    ("text", "quantity"),
    [("3", "3"), ("3 laptops", "3"), ("2,5 hours", "2.5"), ("one", "1"), ("1000000", "1000000")],
)
def test_quantities(text: str, quantity: str) -> None:
    assert read_quantity(text) == Decimal(quantity)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("0", "The quantity must be greater than zero, so 0 won't do."),
        ("-2", "The quantity must be greater than zero, so -2 won't do."),
        ("minus two", "The quantity must be greater than zero, so minus two won't do."),
        ("0.0004", "The quantity must be greater than zero, so 0.0004 won't do."),
        ("1000001", "The quantity can be at most 1,000,000."),
        ("notebook", "I could not read “notebook” as a quantity."),
        ("3 or 4", "I could not read “3 or 4” as a quantity."),
    ],
)
def test_refused_quantities(text: str, reason: str) -> None:
    with pytest.raises(Refused, match=f"^{reason}$"):
        read_quantity(text)


def test_halves_round_up() -> None:
    assert str(round_money(Decimal("0.125"))) == "0.13"
    assert str(round_money(Decimal("2.675"))) == "2.68"


def test_amounts_are_written_for_people() -> None:
    assert format_money(Decimal("3600")) == "3,600.00"
    assert format_quantity(Decimal("3.000")) == "3"
    assert format_quantity(Decimal("2.500")) == "2.5"
    assert format_quantity(Decimal("1000000")) == "1,000,000"
