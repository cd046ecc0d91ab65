"""What a hostile message may cost."""

import time
from contextlib import suppress

import pytest

from workflows.invoicing import amounts, grammar, names, questions, review

FLOODS = [
    *(
        "\n",
        ",",
        "and,",
        ".,",
        "- a\n",
        "\t",
        " \n",
        "a ",
        "1 ",
        "1",
        ", and ",
        "for ",
        "at 1 ",
        "1,",
    ),
    *("please ", "a and ", "x at 1 and ", "1 200 ", "to 1 ", "price ", "x price ", "a costs 1 "),
    *(
        "the ",
        "change ",
        "no, ",
        "from 1 ",
        "quantity of ",
        "invoice ",
        "€ 1 ",
        "1 each ",
        "@ ",
        "s",
    ),
]
READERS = [
    *(grammar.read_request, grammar.read_customer, grammar.read_items, grammar.read_name),
    *(amounts.read_price, amounts.read_quantity, review.read_changes, names.product_name),
    *(questions.read_email, questions.read_phone, questions.read_address),
]


@pytest.mark.parametrize("flood", FLOODS)
@pytest.mark.parametrize("start", ["", "create invoice for acme with ", "change the "])
def test_a_flood_is_read_quickly(start: str, flood: str) -> None:
    """Patterns hold Python's lock while they try, so a message must not keep them busy."""
    message = (start + flood * 4000)[:4000]
    for read in READERS:
        started = time.process_time()
        with suppress(amounts.Refused):
            read(message)
        assert time.process_time() - started < 0.5, read


def test_an_answer_that_froze_the_web_process() -> None:
    """It took 18 seconds, to the third power of its length."""
    started = time.process_time()
    for read in READERS:
        with suppress(amounts.Refused):
            read("for" + " " * 3996 + "!z")
    assert time.process_time() - started < 0.5
