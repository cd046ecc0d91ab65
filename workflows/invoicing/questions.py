"""Questions that are asked until their answer can be used."""

import re
from collections.abc import Callable, Mapping
from typing import TypeVar

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from chatflow.workflows import Context
from workflows.invoicing.amounts import Refused, shorten
from workflows.invoicing.drafts import MAX_ADDRESS, MAX_PHONE
from workflows.invoicing.grammar import clean

_PART = r"[^\s<>,;:\"]"
# From the beginning of a word only: to try from each letter takes quadratic time.
_EMAIL = re.compile(rf"(?<!{_PART}){_PART}+@{_PART}+")
T = TypeVar("T")
# The engine reads "skip"; these decline too where an answer is optional.
DECLINED = {"", "no", "nope", "none", "nothing", "unknown"}


def ask_until(
    ctx: Context, prompt: str, read: Callable[[str], T], given: str | None = None, **options: bool
) -> T:
    """Return what *read* makes of *given*, or else of the user's answer to *prompt*.

    As long as *read* raises Refused, the question is asked again, with the reason before it.
    """
    question = prompt
    while True:
        answer = given if given is not None else ctx.ask(question, **options) or ""
        try:
            return read(answer)
        except Refused as refused:
            question, given = f"{refused} {prompt}", None


def ask_optional(ctx: Context, prompt: str, read: Callable[[str], T]) -> T | None:
    """Ask like ask_until(); None when the user declines."""

    def read_unless_declined(text: str) -> T | None:
        return None if text.strip(" .!").casefold() in DECLINED else read(text)

    prompt = f"{prompt} Say “skip” to leave it out."
    return ask_until(ctx, prompt, read_unless_declined, optional=True)


def pick(ctx: Context, prompt: str, options: Mapping[str, str]) -> str:
    """Let the user choose one of *options*, labels by their values; returns its value.

    They stand under the question too, for clients that show only its text.
    """
    rows = [f"{number}. {label}" for number, label in enumerate(options.values(), 1)]
    chosen: str = ctx.choose("\n".join([prompt, *rows]), list(options.items()))
    return chosen


def read_email(text: str) -> str:
    """Find the e-mail address in an answer."""
    found = _EMAIL.search(clean(text))
    email = found[0].rstrip(".!?") if found else ""
    try:
        validate_email(email)
    except ValidationError:
        raise Refused(f"“{shorten(clean(text))}” is not a valid email address.") from None
    return email


def read_phone(text: str) -> str:
    """Read a phone number."""
    phone = " ".join(clean(text).split())
    if len(phone) > MAX_PHONE or not re.fullmatch(r"[\d\s()+./xX#-]*", phone):
        raise Refused(f"“{shorten(phone)}” is not a phone number.")
    if len(re.findall(r"\d", phone)) < 3:
        raise Refused("A phone number has at least three digits.")
    return phone


def read_address(text: str) -> str:
    """Read a postal address; its lines are kept."""
    address = clean(text)
    if not 0 < len(address) <= MAX_ADDRESS:
        raise Refused(f"An address has 1 to {MAX_ADDRESS} characters.")
    return address
