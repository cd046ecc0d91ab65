"""JSON in, JSON out: strict about the bytes, generous about the headers."""

import json
from typing import IO, Any, NoReturn

from rest_framework.exceptions import ParseError
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

# The levels of a value: far below the depth to which Python can go, wherever it stands just then.
DEEPEST = 200


def canonical(value: Any) -> bytes:
    """Return the one way to write *value* as JSON; equal values give equal bytes.

    Raises:
        UnicodeEncodeError: it has a string with a lone surrogate.
    """
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return text.encode()


def refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError(f"{text} is too large")
    return number


def parse_json(body: bytes) -> Any:
    """Return the JSON that *body* is.

    Raises:
        ParseError: it isn't, or not quite: UTF-8, no NaN, no lone surrogates, nothing too deep.
    """
    try:
        value = json.loads(body.decode("utf-8"), parse_constant=refuse_constant, parse_float=finite)
        if body.count(b"[") + body.count(b"{") > DEEPEST:
            _check_depth(value)
        canonical(value)
    except UnicodeDecodeError:
        raise ParseError("The request body is not UTF-8.") from None
    except UnicodeEncodeError:
        raise ParseError("The request body contains half a surrogate pair.") from None
    except (ValueError, RecursionError):
        raise ParseError("The request body is not valid JSON.") from None
    return value


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(DEEPEST):
        inner = (each.values() if isinstance(each, dict) else each for each in level)
        level = [each for every in inner for each in every if isinstance(each, dict | list)]
        if not level:
            return
    raise ValueError("too deep")


def parse_object(body: bytes) -> dict[str, Any]:
    """Return the JSON object that *body* is.

    Raises:
        ParseError: it's not one; see parse_json().
    """
    value = parse_json(body)
    if not isinstance(value, dict):
        raise ParseError("The request body must be a JSON object.")
    return value


class JSONParser(BaseParser):
    media_type = "application/json"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Any = None,
    ) -> dict[str, Any]:
        return parse_object(stream.read())


class TextJSONParser(JSONParser):
    """For ``fetch()`` of a string without a Content-Type, which a browser calls text/plain."""

    media_type = "text/plain"


class AlwaysJSON(DefaultContentNegotiation):
    """Whatever the client accepts, it gets JSON; a body without a Content-Type is taken for it."""

    def select_parser(self, request: Request, parsers: Any) -> BaseParser | None:
        if not request.content_type:
            return JSONParser()
        return super().select_parser(request, parsers)

    def select_renderer(
        self, request: Request, renderers: Any, format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        return renderers[0], renderers[0].media_type
