"""create_invoice, message by message."""

from decimal import Decimal
from typing import Any

import pytest

from workflows.invoicing.models import (
    Customer,
    Invoice,
    InvoiceCounter,
    InvoiceLine,
    Product,
)
from workflows.invoicing.settlement import next_moves

pytestmark = pytest.mark.django_db

REQUEST = "Create invoice for Acme with 3 laptops at 1200"
NEW_CUSTOMER = ("yes", "office@acme.test", "skip", "skip")


def nothing_is_written() -> bool:
    models = (Customer, Product, Invoice, InvoiceLine, InvoiceCounter)
    return not any(model.objects.exists() for model in models)


def test_it_works(chat: Any, acme: Customer, laptop: Product) -> None:
    turn = chat.say(REQUEST)
    assert turn.kind == "confirm"
    assert "Invoice for Acme" in turn.text
    assert "1. 3 × Laptop at 1,200.00 = 3,600.00" in turn.text
    assert "Total: 3,600.00" in turn.text
    assert "to be created" not in turn.text

    turn = chat.say("yes")
    invoice = Invoice.objects.get()
    assert turn.text == "Invoice INV-000001 for Acme over 3,600.00 is ready."
    assert turn.actions == [
        *next_moves(str(invoice.pk)),
        {"type": "quick_reply", "label": "Create another", "message": "create invoice"},
    ]
    assert turn.actions[0]["url"] == f"/invoices/{invoice.pk}/"
    line = invoice.lines.get()
    assert (invoice.customer, invoice.total, line.product) == (acme, Decimal("3600.00"), laptop)
    assert [line.quantity, line.unit_price, line.total] == [3, 1200, 3600]


def test_four_steps_in_a_plain_run(chat: Any, acme: Customer, laptop: Product) -> None:
    chat.play(REQUEST, "yes")
    assert chat.steps == [
        "Reading your request",
        "Looking up the customer",
        "Looking up the products",
        "Saving the invoice",
    ]


def test_everything_from_nothing(chat: Any, alice: Any) -> None:
    assert chat.say("create invoice").text == "Which customer is the invoice for?"
    turn = chat.say("Acme")
    assert turn.kind == "confirm"
    assert turn.text == "I don't know a customer called “Acme”. Shall I create it?"
    assert chat.say("yes").text == "What is the email address of Acme?"
    assert "phone number" in chat.say("office@acme.test").text
    assert "billing address" in chat.say("+49 30 123456").text
    assert chat.say("skip").text.startswith("What should be on the invoice?")
    turn = chat.say("3 laptops at 1200")
    assert turn.text == "I don't know a product called “Laptop”. Shall I create it?"
    turn = chat.say("yes")
    assert "customer Acme (office@acme.test, +49 30 123456), product Laptop." in turn.text
    assert nothing_is_written()
    assert chat.say("yes").text == "Invoice INV-000001 for Acme over 3,600.00 is ready."
    customer, product = Customer.objects.get(), Product.objects.get()
    assert (customer.owner, customer.email) == (alice, "office@acme.test")
    assert customer.phone == "+49 30 123456"
    assert (product.owner, product.name) == (alice, "Laptop")
    assert product.price == 1200


@pytest.mark.parametrize("no", ["no", "No thanks.", "nope"])
def test_no_creates_nothing(chat: Any, no: str) -> None:
    turn = chat.play(REQUEST, *NEW_CUSTOMER, "yes", no)
    assert turn.text == "Nothing was created."
    assert nothing_is_written()


def test_nothing_is_written_before_the_last_yes(chat: Any) -> None:
    turn = chat.play(REQUEST, *NEW_CUSTOMER, "yes")
    assert "Shall I create this invoice?" in turn.text
    assert nothing_is_written()


def test_an_address_of_several_lines(chat: Any) -> None:
    turn = chat.play(REQUEST, "yes", "a@acme.test", "skip", "Main St 1\nTown", "yes")
    assert "customer Acme (a@acme.test, Main St 1, Town)" in turn.text
    chat.say("yes")
    assert Customer.objects.get().billing_address == "Main St 1\nTown"


def test_an_invalid_email_is_asked_again(chat: Any) -> None:
    turn = chat.play("create invoice for Acme", "yes", "acme")
    assert turn.text == ("“acme” is not a valid email address. What is the email address of Acme?")
    assert "not a valid" in chat.say("skip").text
    assert "phone" in chat.say("it is office@acme.test.").text


@pytest.mark.parametrize(("phone", "problem"), [("tomorrow", "is not a phone"), ("12", "three")])
def test_an_invalid_phone_is_asked_again(chat: Any, phone: str, problem: str) -> None:
    turn = chat.play("create invoice for Acme", "yes", "a@acme.test", phone)
    assert problem in turn.text
    assert "billing address" in chat.say("no").text


def test_a_customer_that_is_not_to_be_created_is_asked_for(
    chat: Any, acme: Customer, laptop: Product
) -> None:
    turn = chat.play("create invoice for Zeta with 3 laptops", "no")
    assert turn.text == "Which customer is the invoice for?"
    assert "Invoice for Acme" in chat.say("Acme").text


def test_similar_customers_are_offered(chat: Any, alice: Any, laptop: Product) -> None:
    for name in ("Acme Corp", "Acme Ltd", "Zeta"):
        Customer.objects.create(owner=alice, name=name, email="a@acme.test")
    turn = chat.say(REQUEST)
    assert turn.kind == "choice"
    assert turn.choices == ["Acme Corp", "Acme Ltd", "Create new"]
    assert turn.text == (
        "Which customer do you mean by “Acme”?\n1. Acme Corp\n2. Acme Ltd\n3. Create new"
    )
    assert chat.say("something else").kind == "choice"
    assert "Invoice for Acme Ltd" in chat.say("2").text


def test_a_new_customer_beside_similar_ones(chat: Any, alice: Any, laptop: Product) -> None:
    Customer.objects.create(owner=alice, name="Acme Corp", email="a@acme.test")
    turn = chat.play(REQUEST, "create new")
    assert turn.text == "What is the email address of Acme?"
    chat.play("b@acme.test", "skip", "skip", "yes")
    assert set(Customer.objects.values_list("name", flat=True)) == {"Acme", "Acme Corp"}


def test_the_exact_name_needs_no_choice(chat: Any, alice: Any, acme: Customer) -> None:
    Customer.objects.create(owner=alice, name="Acme Ltd", email="a@acme.test")
    assert chat.say("create invoice for ACME").text.startswith("What should be on the invoice?")


def test_similar_products_are_offered(chat: Any, alice: Any, acme: Customer) -> None:
    for name in ("Laptop Pro", "Laptop Air"):
        Product.objects.create(owner=alice, name=name, price=900)
    turn = chat.say("create invoice for Acme with 3 laptops")
    assert turn.choices == ["Laptop Pro", "Laptop Air", "Create new"]
    assert "3 × Laptop Air at 900.00" in chat.say("laptop air").text


def test_a_known_price_is_the_default(chat: Any, acme: Customer, laptop: Product) -> None:
    assert "2 × Laptop at 1,200.00 = 2,400.00" in chat.say("invoice Acme: 2 laptops").text


def test_another_price_leaves_the_product_alone(chat: Any, acme: Customer, laptop: Product) -> None:
    chat.play("invoice Acme: 2 laptops at 1,000.50", "yes")
    laptop.refresh_from_db()
    assert laptop.price == 1200
    assert Invoice.objects.get().total == Decimal("2001.00")


def test_missing_quantity_and_price_are_asked_for(chat: Any, acme: Customer) -> None:
    turn = chat.play("create invoice for Acme with hats", "yes")
    assert turn.text == "How many of “Hat” should be on the invoice?"
    assert "could not read “many” as a quantity" in chat.say("many").text
    assert chat.say("4 hats").text == "What is the price of one “Hat”?"
    assert "could not read “cheap” as a price" in chat.say("cheap").text
    assert "4 × Hat at 12.50 = 50.00" in chat.say("12,50 each").text


@pytest.mark.parametrize("quantity", ["0", "-3"])
def test_a_quantity_of_nothing_is_refused(
    chat: Any, acme: Customer, laptop: Product, quantity: str
) -> None:
    turn = chat.say(f"create invoice for Acme with {quantity} laptops at 1200")
    assert turn.text == (
        f"The quantity must be greater than zero, so {quantity} won't do. "
        "How many of “Laptop” should be on the invoice?"
    )
    assert "must be greater than zero" in chat.say("0").text
    assert "1 × Laptop" in chat.say("one").text


def test_a_sum_is_not_taken_for_a_price(chat: Any, acme: Customer, laptop: Product) -> None:
    turn = chat.say("create invoice for Acme with 3 laptops for 1200")
    assert turn.text == "You wrote “for 1200”. What is the price of one “Laptop”?"
    assert "Total: 1,200.00" in chat.say("400").text


def test_several_unknown_products_are_one_question(chat: Any, acme: Customer) -> None:
    turn = chat.say("invoice Acme for 2 x Desk Lamp @ 49.90 and 1 chair at 80")
    assert turn.text == ("I don't know these products: “Desk Lamp”, “Chair”. Shall I create them?")
    assert "Total: 179.80" in chat.say("yes").text


def test_after_a_no_they_are_asked_about_one_by_one(chat: Any, acme: Customer) -> None:
    turn = chat.play("invoice Acme for 2 lamps at 49.90 and 1 chair at 80", "no", "yes")
    assert turn.text == "I don't know a product called “Chair”. Shall I create it?"
    assert "instead of “Chair”" in chat.say("no").text
    turn = chat.say("skip")
    assert "Chair" not in turn.text
    assert "Total: 99.80" in turn.text


def test_another_product_instead(chat: Any, acme: Customer, laptop: Product) -> None:
    turn = chat.play("invoice Acme for 2 tablets", "no", "laptops")
    assert "2 × Laptop at 1,200.00" in turn.text


def test_without_any_line_left_the_items_are_asked_for(
    chat: Any, acme: Customer, laptop: Product
) -> None:
    turn = chat.play("invoice Acme for 2 tablets", "no", "skip")
    assert turn.text.startswith("What should be on the invoice?")
    assert "1 × Laptop" in chat.say("a laptop").text


def test_the_same_new_product_twice(chat: Any, acme: Customer) -> None:
    chat.play("invoice Acme for 2 hats at 10 and 1 hat at 12", "yes", "yes")
    assert Product.objects.get().price == 10
    assert Invoice.objects.get().total == 32


def test_too_many_lines(chat: Any, acme: Customer, laptop: Product) -> None:
    turn = chat.say("create invoice for Acme with\n" + "1 laptop\n" * 51)
    assert turn.text.startswith("An invoice can have at most 50 lines, and these are 51.")
    turn = chat.say("1 laptop\n" * 50)
    assert "50. 1 × Laptop" in turn.text
    assert "at most 50 lines" in chat.say("add 1 laptop").text


def test_a_name_that_is_too_long(chat: Any) -> None:
    turn = chat.say("create invoice for " + "x" * 201)
    assert turn.text.startswith("A name can have at most 200 characters. Which customer")


def test_a_total_that_is_too_large(chat: Any, acme: Customer, laptop: Product) -> None:
    turn = chat.play("invoice Acme for 1000000 laptops at 99999999", "yes")
    assert turn.text.startswith("The total of an invoice can be at most 999,999,999,999.99.")
    assert not Invoice.objects.exists()
    assert "is ready" in chat.play("change the price to 1", "yes").text


# Changes in the summary.


@pytest.fixture
def summary(chat: Any, alice: Any, acme: Customer, laptop: Product) -> Any:
    Product.objects.create(owner=alice, name="Notebook", price=5)
    Product.objects.create(owner=alice, name="Chair", price=80)
    chat.say("invoice Acme for 2 laptops, 10 notebooks and 1 chair")
    return chat


@pytest.mark.parametrize(
    ("edit", "line"),
    [
        ("change the notebook quantity to 3", "3 × Notebook at 5.00 = 15.00"),
        ("change the quantity of laptops to 3", "3 × Laptop at 1,200.00 = 3,600.00"),
        ("change the price of chairs to 75", "1 × Chair at 75.00 = 75.00"),
        ("no, make it 4 chairs", "4 × Chair at 80.00 = 320.00"),
        ("line 2 quantity 7", "7 × Notebook at 5.00 = 35.00"),
        ("4 chairs at 70", "4 × Chair at 70.00 = 280.00"),
        ("add 2 mice at 20", "4. 2 × Mouse at 20.00 = 40.00"),
        ("2 mice at 20", "4. 2 × Mouse at 20.00 = 40.00"),
        ("replace the chair with a laptop", "3. 1 × Laptop at 1,200.00"),
    ],
)
def test_edits_in_place(summary: Any, edit: str, line: str) -> None:
    turn = summary.say(edit)
    if "I don't know a product" in turn.text:
        turn = summary.say("yes")
    assert line in turn.text
    assert "Shall I create this invoice?" in turn.text
    assert not Invoice.objects.exists()
    assert "is ready" in summary.say("yes").text


def test_the_edited_invoice_is_what_is_saved(summary: Any) -> None:
    summary.play("change the notebook quantity to 3", "remove the chair", "yes")
    lines = [(line.position, str(line), line.quantity_text) for line in InvoiceLine.objects.all()]
    assert lines == [(1, "Laptop", "2"), (2, "Notebook", "3")]
    assert Invoice.objects.get().total == 2415


def test_removing_a_line(summary: Any) -> None:
    turn = summary.say("remove the chair")
    assert "Chair" not in turn.text
    assert "Total: 2,450.00" in turn.text


def test_removing_the_last_line_asks_for_another(
    chat: Any, acme: Customer, laptop: Product
) -> None:
    turn = chat.play("invoice Acme for 2 laptops", "remove the laptops")
    assert turn.text.startswith("What should be on the invoice?")
    assert "1 × Laptop" in chat.say("1 laptop").text


def test_two_edits_in_one_message(summary: Any) -> None:
    turn = summary.say("remove the chair and change the laptop quantity to 1")
    assert "Chair" not in turn.text
    assert "1 × Laptop" in turn.text


def test_the_line_is_asked_for_where_it_is_unclear(summary: Any) -> None:
    turn = summary.say("change the quantity to 3")
    assert turn.kind == "choice"
    assert turn.text.startswith("Which line do you mean?\n1. 2 × Laptop")
    assert "3 × Chair" in summary.say("3").text


def test_the_only_line_needs_no_name(chat: Any, acme: Customer, laptop: Product) -> None:
    turn = chat.play("invoice Acme for 2 laptops", "change the quantity to 3")
    assert "3 × Laptop at 1,200.00 = 3,600.00" in turn.text


def test_changing_the_customer(summary: Any, alice: Any) -> None:
    Customer.objects.create(owner=alice, name="Beta GmbH", email="b@beta.test")
    assert "Invoice for Beta GmbH" in summary.say("customer is Beta GmbH").text
    assert "for Beta GmbH over" in summary.say("yes").text


def test_changing_to_a_new_customer(summary: Any) -> None:
    turn = summary.play("customer is Gamma", "yes", "a@gamma.test", "skip", "skip")
    assert "customer Gamma (a@gamma.test)" in turn.text
    turn = summary.say("email is b@gamma.test")
    assert "customer Gamma (b@gamma.test)" in turn.text
    summary.say("yes")
    assert Customer.objects.get(name="Gamma").email == "b@gamma.test"


def test_a_known_customer_is_not_changed(summary: Any, acme: Customer) -> None:
    assert "can't change their details" in summary.play("email is x@acme.test").text
    summary.say("yes")
    acme.refresh_from_db()
    assert acme.email == "office@acme.test"


@pytest.mark.parametrize("edit", ["hm", "what is the weather?", "notebook", "okra", "3"])
def test_what_is_not_understood_is_said_so(summary: Any, edit: str) -> None:
    turn = summary.say(edit)
    assert turn.text.startswith(f"I did not understand “{edit}”. You can say, for example: “change")
    assert "Shall I create this invoice?" in turn.text
    assert not Invoice.objects.exists()
    # The same words again are a question of their own.
    assert summary.say(edit).text == turn.text
    assert "is ready" in summary.say("yes").text


@pytest.mark.parametrize(
    ("edit", "problem"),
    [
        ("change the laptop quantity to 0", "The quantity must be greater than zero, so 0"),
        ("change the laptop quantity to -2", "The quantity must be greater than zero, so -2"),
        ("change the laptop quantity to 1000001", "The quantity can be at most 1,000,000."),
        ("change the laptop price to -2", "A price can't be negative."),
        ("change the laptop price to lots", "I could not read “lots” as a price."),
        ("make it 3 laptops for 1000", "Is 1000 for one or for all?"),
        ("remove the okra", "There is no “okra” on this invoice."),
        ("line 9 quantity 2", "There is no “line 9” on this invoice."),
    ],
)
def test_refused_edits_change_nothing(summary: Any, edit: str, problem: str) -> None:
    turn = summary.say(edit)
    assert turn.text.startswith(problem)
    assert "Total: 2,530.00" in turn.text


# Whose data it is.


def test_nobody_meets_another_users_data(
    talk: Any, bob: Any, acme: Customer, laptop: Product
) -> None:
    chat = talk(bob)
    turn = chat.say(REQUEST)
    assert turn.text == "I don't know a customer called “Acme”. Shall I create it?"
    turn = chat.play("yes", "bob@acme.test", "skip", "skip")
    assert turn.text == "I don't know a product called “Laptop”. Shall I create it?"
    assert chat.play("yes", "yes").text.startswith("Invoice INV-000001 for Acme")
    assert Customer.objects.filter(name="Acme").count() == 2
    assert Invoice.objects.get().customer.owner == bob


def test_numbers_run_for_each_owner(
    talk: Any, alice: Any, bob: Any, acme: Customer, laptop: Product
) -> None:
    for number in (1, 2, 3):
        assert f"INV-00000{number}" in talk(alice).play(REQUEST, "yes").text
    turn = talk(bob).play(REQUEST, *NEW_CUSTOMER, "yes", "yes")
    assert "INV-000001" in turn.text


# What changes between the question and the yes.


def test_a_customer_that_was_deleted_meanwhile(chat: Any, acme: Customer, laptop: Product) -> None:
    chat.say(REQUEST)
    acme.delete()
    turn = chat.say("yes")
    assert turn.text == "The customer Acme is not there any more. Nothing was created."
    assert not Invoice.objects.exists()


def test_a_product_that_was_deleted_meanwhile(chat: Any, acme: Customer, laptop: Product) -> None:
    chat.say(REQUEST)
    laptop.delete()
    assert "is ready" in chat.say("yes").text
    line = InvoiceLine.objects.get()
    assert (line.description, line.product) == ("Laptop", None)


def test_a_customer_that_was_created_meanwhile(chat: Any, alice: Any, laptop: Product) -> None:
    chat.play(REQUEST, *NEW_CUSTOMER)
    Customer.objects.create(owner=alice, name="ACME", email="other@acme.test")
    chat.say("yes")
    assert Invoice.objects.get().customer.name == "ACME"


def test_text_is_only_text(chat: Any, laptop: Product) -> None:
    name = "<script>alert(1)</script>"
    turn = chat.play(f"invoice {name}: 1 laptop", *NEW_CUSTOMER, "yes")
    assert f"for {name} over 1,200.00" in turn.text
    assert Customer.objects.get().name == name
