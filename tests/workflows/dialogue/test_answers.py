"""What a user's words mean."""

import re
from typing import Any

import pytest

from chatflow.workflows.dialogue.answers import (
    as_choices,
    chosen,
    is_cancel,
    is_skip,
    normalise,
    yes_or_no,
)


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("  Yes,\n please. ", "yes, please"),
        ("NEVER\t MIND!!", "never mind"),
        ("“ok”", "“ok”"),
        ("'(ok)'", "ok"),
        ("don\N{RIGHT SINGLE QUOTATION MARK}t", "don't"),
        ("...", ""),
        ("", ""),
        ("ÉTÉ", "été"),
    ],
)
def test_normalise(text: str, plain: str) -> None:
    assert normalise(text) == plain


YES = """
    yes | Yes | YES! | y | yep | yeah | yup | ok | ok! | OK. | okay | sure | sure! | confirm
    confirmed | correct | right | true | absolutely | definitely | approve | Yes, please.
    yes please | ok thanks | yes, thank you | yes, that's right | that is correct | ok, go ahead
    go ahead | Go ahead! | do it | please go ahead | yes yes | of course, yes | all right
    looks good | Looks good to me. | sounds good | yes, create it | yes I want to | ok, do it now
    that's fine | "yes" | (yes) | yes\N{HORIZONTAL ELLIPSIS}
"""
NO = """
    no | No. | NO! | n | nope | nah | don't | dont | don\N{RIGHT SINGLE QUOTATION MARK}t | false
    wrong | no thanks | No, thank you. | no, please | that's wrong | do not create it | no no no
    reject | never | no sir
"""
NEITHER = """
    change the notebook quantity to 3 | change the quantity to 3 | yes and no | no, yes | not sure
    yes but change the price | no, change it to 4 | ok, but 3 of them | yes 3 | okra | know
    nothing | november | yesterday | none | maybe | hm | 3 | ... | ! | what does it cost?
    why not? | y/n | is that correct? | right? | ok? | no idea | no problem | the notebook | please
    it is | I want to | no longer the laptop | never mind | \N{THUMBS UP SIGN} | oui | create
    don't know | that is not right and no
"""


def cases(table: str) -> list[str]:
    return [text.strip() for text in re.split(r"[|\n]", table) if text.strip()]


@pytest.mark.parametrize("text", cases(YES))
def test_yes(text: str) -> None:
    assert yes_or_no(text) is True


@pytest.mark.parametrize("text", cases(NO))
def test_no(text: str) -> None:
    assert yes_or_no(text) is False


@pytest.mark.parametrize("text", [*cases(NEITHER), "", "   ", "\n"])
def test_neither(text: str) -> None:
    assert yes_or_no(text) is None


@pytest.mark.parametrize(
    "text",
    ["cancel", "Cancel", " CANCEL! ", "cancel.", "abort", "stop", "Stop!", "quit", "exit",
     "never mind", "Never mind.", "nevermind", "never  mind", '"cancel"'],
)  # fmt: skip
def test_words_that_cancel(text: str) -> None:
    assert is_cancel(text)


@pytest.mark.parametrize(
    "text",
    ["", "cancel it", "please cancel", "don't stop", "cancel the invoice of May", "cancelled",
     "stopwatch", "no", "exit strategy", "can cel"],
)  # fmt: skip
def test_words_that_do_not_cancel(text: str) -> None:
    assert not is_cancel(text)


@pytest.mark.parametrize(
    "text", ["skip", "Skip.", "skip it", "none", "N/A", "-", " - ", "no thanks"]
)
def test_words_that_skip(text: str) -> None:
    assert is_skip(text)


@pytest.mark.parametrize(
    "text", ["", "no", "skipper", "skip the first", "--", "nobody@example.com"]
)
def test_words_that_do_not_skip(text: str) -> None:
    assert not is_skip(text)


def test_as_choices() -> None:
    assert as_choices(
        ["a", 2, (3, "Three"), ["4", 4], {"value": None, "label": "None", "x": 1}]
    ) == [
        {"value": "a", "label": "a"},
        {"value": 2, "label": "2"},
        {"value": 3, "label": "Three"},
        {"value": "4", "label": "4"},
        {"value": None, "label": "None"},
    ]


ITEMS = [(70, "Notebook, A4"), (80, "Laptop"), (90, "Laptop bag"), ("new", "A new product")]
NUMBERS = [3, 1, 2]


def test_one_text_is_no_choices() -> None:
    with pytest.raises(TypeError, match=r"^The choices are 'Small': write a list, \['Small'\]\.$"):
        as_choices("Small")


@pytest.mark.parametrize(
    ("text", "choices", "value"),
    [
        # By number, as they were listed.
        ("1", ITEMS, 70),
        ("4", ITEMS, "new"),
        (" #2 ", ITEMS, 80),
        ("2.", ITEMS, 80),
        ("(2)", ITEMS, 80),
        ("option 3", ITEMS, 90),
        ("Number 3!", ITEMS, 90),
        ("no. 3", ITEMS, 90),
        # By value.
        ("80", ITEMS, 80),
        ("NEW", ITEMS, "new"),
        # By label, whole or in part, where that is clear.
        ("laptop", ITEMS, 80),
        ("Laptop bag.", ITEMS, 90),
        ("bag", ITEMS, 90),
        ("notebook", ITEMS, 70),
        ("a new product", ITEMS, "new"),
        ("product", ITEMS, "new"),
        # A value counts before a place in the list.
        ("3", NUMBERS, 3),
        ("1", NUMBERS, 1),
    ],
)
def test_chosen(text: str, choices: list[Any], value: Any) -> None:
    choice = chosen(text, as_choices(choices))

    assert choice is not None
    assert choice["value"] == value


@pytest.mark.parametrize(
    "text",
    ["", "...", "0", "5", "99999", "-1", "1.5", "lap", "no", "ok", "book", "both", "1 and 2",
     "the second", "yes", "laptops", "\N{SUPERSCRIPT TWO}", "note("],
)  # fmt: skip
def test_an_unclear_choice(text: str) -> None:
    assert chosen(text, as_choices(ITEMS)) is None


def test_labels_that_are_the_same() -> None:
    choices = as_choices([(1, "Acme"), (2, "Acme"), (3, "Bolt")])

    assert chosen("acme", choices) is None
    assert chosen("2", choices) == {"value": 2, "label": "Acme"}


def test_labels_with_odd_characters() -> None:
    choices = as_choices([("c", "C++ course (2024)"), ("r", "R [basic]")])

    assert chosen("c++", choices) == choices[0]
    assert chosen("[basic]", choices) == choices[1]
