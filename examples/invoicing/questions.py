"""Questions that are asked until their answer can be used."""

import re
from collections.abc import Callable, Sequence
from typing import TypeVar

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from examples.invoicing.amounts import shorten
from examples.invoicing.invoices import Match
from examples.invoicing.limits import MAX_ADDRESS, MAX_PHONE, Refused
from examples.invoicing.parsing import clean
from workflows import Context

T = TypeVar("T")
SKIP = "Say “skip” to leave it out."
# The engine reads "skip"; these decline too where an answer is optional.
DECLINED = {"no", "nope", "none", "nothing", "don't have one", "i don't have one", "unknown"}


def ask_until(ctx: Context, prompt: str, read: Callable[[str], T], given: str | None = None) -> T:
    """Return what *read* makes of *given*, or else of the user's answer to *prompt*.

    As long as *read* refuses, the question is asked again, with the reason before it.
    """
    answer, question = given, prompt
    while True:
        if answer is not None:
            try:
                return read(answer)
            except Refused as refused:
                question = f"{refused} {prompt}"
        answer = ctx.ask(question) or ""


def ask_optional(ctx: Context, prompt: str, read: Callable[[str], T]) -> T | None:
    """Ask like ask_until(); None when the user declines."""
    question = prompt
    while True:
        answer = ctx.ask(question, optional=True)
        if answer is None or answer.strip(" .!").casefold() in DECLINED:
            return None
        try:
            return read(answer)
        except Refused as refused:
            question = f"{refused} {prompt}"


def agree(ctx: Context, prompt: str) -> bool:
    """Ask for a yes or a no."""
    return ctx.confirm(prompt) is True


def pick(ctx: Context, prompt: str, similar: Sequence[Match]) -> Match | None:
    """Let the user choose one of *similar*; None means a new one."""
    choices = [(f"id {match.id}", match.name) for match in similar] + [("new", "Create new")]
    by_value = {value: match for (value, _), match in zip(choices, similar, strict=False)}
    return by_value.get(ctx.choose(numbered(prompt, [label for _, label in choices]), choices))


def numbered(prompt: str, labels: Sequence[str]) -> str:
    """Write the choices under the question, for clients that show only its text."""
    rows = [f"{number}. {label}" for number, label in enumerate(labels, 1)]
    return "\n".join([prompt, *rows])


def read_email(text: str) -> str:
    """Find the e-mail address in an answer.

    Raises:
        Refused: there is no valid one.
    """
    found = re.search(r"[^\s<>,;:\"]+@[^\s<>,;:\"]+", clean(text))
    email = found[0].rstrip(".!?") if found else ""
    try:
        validate_email(email)
    except ValidationError:
        raise Refused(f"“{shorten(clean(text))}” is not a valid email address.") from None
    return email


def read_phone(text: str) -> str:
    """Read a phone number.

    Raises:
        Refused: it doesn't look like one.
    """
    phone = " ".join(clean(text).split())
    if len(phone) > MAX_PHONE or not re.fullmatch(r"[\d\s()+./x#-]*", phone, re.IGNORECASE):
        raise Refused(f"“{shorten(phone)}” is not a phone number.")
    if len(re.findall(r"\d", phone)) < 3:
        raise Refused("A phone number has at least three digits.")
    return phone


def read_address(text: str) -> str:
    """Read a postal address; its lines are kept.

    Raises:
        Refused: it is empty or too long.
    """
    address = clean(text)
    if not address:
        raise Refused("I could not read an address in that.")
    if len(address) > MAX_ADDRESS:
        raise Refused(f"An address can have at most {MAX_ADDRESS} characters.")
    return address
