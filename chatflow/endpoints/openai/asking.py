"""What a client's request says, whichever of the two protocols it speaks: hostile until read."""

from collections.abc import Callable
from functools import wraps
from typing import Any, cast

from django.http import HttpRequest, HttpResponse
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from chatflow.answers.errors import Refused
from chatflow.dialects.openai import JSON
from chatflow.endpoints import speaking
from chatflow.endpoints.speaking import Wanted
from chatflow.streams import following
from chatflow.wire.problems import Problem
from chatflow.workflows.exceptions import UnknownWorkflow

View = Callable[..., HttpResponse]
# These say what has become of a job, or that it can't be: OpenAI's clients would ask for it twice
# more, and get three.
FINAL = (409, 500, 504)
# In the META of a request whose job is there: it goes on, whatever is answered.
BEGUN = "chatflow.begun"
# The types of the parts of a message that are its words.
TEXTS = ("text", "input_text", "output_text")


def once(view: View) -> View:
    """Let the clients not repeat a request by themselves whose answer is final."""

    @wraps(view)
    def answered(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        response = view(request, *args, **kwargs)
        status = response.status_code
        is_final = status in FINAL or (status >= 400 and BEGUN in request.META)
        return following.final(response) if is_final else response

    return answered


def note_begun(request: Request) -> None:
    """Let the client not repeat the request by itself, even if its answer fails for a moment."""
    request.META[BEGUN] = True


def body_of(request: Request) -> JSON:
    """Return the body, which the parser has found to be an object."""
    return cast(JSON, request.data)


def wrong(name: str, sentence: str) -> ValidationError:
    """Return the refusal of the parameter called *name*."""
    return ValidationError({name: [sentence]})


def flag(body: JSON, name: str, *, default: bool = False) -> bool:
    """Return a field of *body* that is true, false, or not there."""
    value = body.get(name)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise wrong(name, "Must be true or false.")
    return value


def text(body: JSON, name: str) -> str | None:
    """Return a field of *body* that is a string, or not there."""
    value = body.get(name)
    if value is not None and not isinstance(value, str):
        raise wrong(name, "Must be a string.")
    return value


def words(value: str, name: str) -> str:
    """Return what the user says with the parameter called *name*."""
    return _checked(speaking.check_text, value, name)


def session_key(value: object, name: str) -> str:
    """Return the name of a conversation, which stands in the parameter called *name*."""
    return _checked(speaking.check_session_key, value, name)


def _checked(check: Callable[[Any], str], value: object, name: str) -> str:
    try:
        return check(value)
    except ValidationError as error:
        detail: Any = error.detail
        raise wrong(name, str(detail[0])) from None


def metadata(body: JSON) -> JSON:
    """Return the client's ``metadata``."""
    value = body.get("metadata")
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise wrong("metadata", "Must be an object.")
    return value


def wanted(request: Request, name: str | None) -> Wanted:
    """Return what a client has named as its model.

    Raises:
        Refused: there is none of that name.
    """
    try:
        return speaking.wanted(request, name)
    except UnknownWorkflow:
        raise Refused(no_model(name)) from None


def no_model(name: str | None) -> Problem:
    return Problem(
        status=404,
        code="model_not_found",
        error=f"The model {name!r} does not exist.",
        errors={"model": ["There is none of that name."]},
    )


def words_of(content: object) -> str:
    """Return the parts of a message that are text, joined by newlines; images and files are not."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    said = [each for each in parts if isinstance(each, dict) and each.get("type") in TEXTS]
    return "\n".join(each["text"] for each in said if isinstance(each.get("text"), str))
