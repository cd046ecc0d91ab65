"""Understands changes to a draft: "change the laptop quantity to 3", "remove the chair"."""

import re
from dataclasses import dataclass, field
from typing import Literal

from examples.invoicing.amounts import CURRENCY, EACH, SIGN, SPACED, WORD
from examples.invoicing.drafts import Item, Line
from examples.invoicing.matching import SIMILAR, product_key, similarity
from examples.invoicing.parsing import (
    COUNT,
    I,
    clean,
    clean_name,
    parse_item,
    parse_items,
)

# Lines whose scores are this near to the best one may be meant as well.
CLOSE = 0.1

Kind = Literal["quantity", "price", "line", "remove", "replace", "add", "customer", "contact"]


@dataclass(frozen=True, kw_only=True)
class Edit:
    """One change. An empty target means the only line, or is asked for."""

    kind: Kind
    target: str = ""
    value: str = ""
    items: list[Item] = field(default_factory=list)


_VERB = (
    r"(?:change|set|make|update|correct|fix|put|edit|raise|lower|increase|decrease|reduce|adjust"
    r"|modify|use)"
)
_TO = (
    r"\s*(?:\b(?:to|is|as|at|was|should\s+be|must\s+be|needs\s+to\s+be|from\s+\S+\s+to)\b|=|:)?\s*"
)
_NUMBER = rf"(?P<value>{CURRENCY}?\s*(?:{SIGN})?(?:{SPACED}|{WORD})\s*{CURRENCY}?)(?:\s*{EACH})?"
_QUANTITY = r"(?:quantity|qty|count|number)"
_PRICE = r"(?:(?:unit\s+|sale\s+|selling\s+)?price|cost|rate)"
_THE = r"(?:(?:the|my|its)\s+)?"
_OF = r"\s+(?:of|for|on)\s+(?:the\s+)?"


def _patterns(kind: Kind, *patterns: str) -> list[tuple[Kind, re.Pattern[str]]]:
    return [(kind, re.compile(pattern, I | re.DOTALL)) for pattern in patterns]


def _amount_patterns(kind: Kind, noun: str) -> list[tuple[Kind, re.Pattern[str]]]:
    """Patterns for "quantity of chairs to 3", "the chair quantity to 3" and "quantity 3".

    The last of each pair takes anything as the number, so that "set the price to lots" is
    answered with what is wrong about it.
    """
    heads = [
        rf"(?:{_VERB}\s+)?{_THE}{noun}(?:{_OF}(?P<target>.+?))?",
        rf"(?:{_VERB}\s+)?{_THE}(?P<target>.+?)(?:'s|’s)?\s+{noun}",
    ]
    strict = [rf"{head}{_TO}{_NUMBER}" for head in heads]
    loose = [rf"{head}\s+(?:to|should\s+be|=)\s+(?P<value>\S.*)" for head in heads]
    return _patterns(kind, *strict, *loose)


# In order: the first that fits counts.
_PATTERNS: list[tuple[Kind, re.Pattern[str]]] = [
    *_patterns(
        "contact",
        rf"(?:{_VERB}\s+)?{_THE}(?:customer(?:'s|’s)?\s+)?(?P<target>e-?mail|phone|(?:billing\s+)?address)"
        r"(?:\s+(?:address|number))?\s*(?:\b(?:to|is|should\s+be)\b|=|:)\s*(?P<value>\S.*)",
    ),
    *_patterns(
        "customer",
        rf"(?:{_VERB}\s+)?{_THE}(?:customer|client|recipient)(?:'s|’s)?(?:\s+name)?"
        r"\s*(?:\b(?:to|is|as|should\s+be|must\s+be)\b|=|:)\s*(?P<value>\S.*)",
        r"(?:it'?s|it\s+is|this\s+is|make\s+it|bill(?:\s+it)?|invoice(?:\s+it)?|send\s+it)"
        rf"\s+(?:for|to)\s+(?P<value>(?!{COUNT}|\d).+)",
        rf"for\s+(?P<value>(?!{COUNT}|\d).+?)(?:\s+instead)?",
    ),
    *_patterns(
        "remove",
        r"(?:remove|delete|drop|omit|take\s+(?:out|off|away)|get\s+rid\s+of|no\s+more|without)\s+"
        rf"(?:the\s+)?(?P<target>(?!{COUNT})\S.*?)(?:\s+from\s+(?:it|the\s+invoice))?",
    ),
    *_patterns(
        "add",
        r"(?:add|include|append|also|plus|and)\s+(?:also\s+)?(?P<items>\S.*?)"
        r"(?:\s+(?:to|on)\s+(?:it|(?:the|this)\s+invoice))?",
    ),
    *_amount_patterns("quantity", _QUANTITY),
    *_amount_patterns("price", _PRICE),
    *_patterns(
        "quantity",
        rf"(?:make|change|set)\s+(?:it|that)(?:\s+to)?\s+{_NUMBER}",
        rf"(?:change|set|update|increase|decrease|reduce|raise|lower|make)\s+{_THE}"
        rf"(?P<target>(?!it\b|that\b).+?)\s+(?:to|from\s+\S+\s+to)\s+{_NUMBER}",
        rf"(?:i\s+(?:want|need)|only|just)\s+{_NUMBER}(?:\s+of\s+(?:it|them|those))?",
        rf"(?P<target>[^:]+):\s*{_NUMBER}",
    ),
    *_patterns(
        "price",
        rf"{_THE}(?P<target>.+?)\s+(?:costs?|should\s+cost|(?:is|are)\s+priced\s+at)\s+{_NUMBER}",
    ),
    *_patterns(
        "replace",
        r"(?:replace|swap|exchange)\s+(?:the\s+)?(?P<target>.+?)\s+(?:with|by|for)\s+(?:an?\s+)?(?P<value>\S.*)",
        r"(?:change|make)\s+(?:the\s+)?(?P<target>(?!it\b|that\b).+?)\s+(?:to|into)\s+(?:an?\s+)?(?P<value>\S.*)",
    ),
]
_LINE_FORM = re.compile(
    rf"(?:{_VERB}\s+(?:it\s+|that\s+)?(?:to\s+)?|i\s+(?:want|need)\s+|only\s+|just\s+)?"
    rf"(?P<line>{COUNT}.+?|.+?(?:\bat\b|@)\s*\S+(?:\s*{EACH})?)(?:\s+instead)?",
    I | re.DOTALL,
)
# Where a second change begins: "remove the chair and add 2 mice at 20".
_NEXT = re.compile(
    r"\s*(?:[,;\n.]|\band\b|\bthen\b|\balso\b)+\s*(?:(?:and|then|also|please)\s+)*"
    rf"(?=(?:{_VERB}|remove|delete|drop|add|replace|{_THE}{_QUANTITY}|{_THE}{_PRICE}"
    rf"|(?:the\s+)?customer(?:\s+(?:is|to)|:))\b)",
    I,
)
_OPENING = re.compile(
    r"(?:(?:please|yes|yep|yeah|no|nope|ok|okay|fine|great|good|looks\s+good|almost|well|actually"
    r"|but|sorry|wait|hm+|(?:can|could|would)\s+you"
    r"|i(?:'d|\s+would)\s+like\s+(?:you\s+)?to|i\s+want\s+(?:you\s+)?to|let'?s)[\s,.!:-]+)+",
    I,
)
_CLOSING = re.compile(r"[\s,]+(?:please|thanks|thank\s+you|instead)[\s.!?]*$", I)
_NUMBERED = re.compile(r"(?:(?:line|item|position|number|no\.?|nr\.?)\s*|#)(\d{1,3})", I)
_ORDINALS = {"first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5}
_ORDINAL = re.compile(
    rf"({'|'.join(_ORDINALS)}|last|\d{{1,2}}(?:st|nd|rd|th))(?:\s+(?:line|item|one))?", I
)


def parse_edits(text: str) -> list[Edit]:
    """Read one or several changes. An empty list means that some part wasn't understood."""
    text = clean(text)
    text = _CLOSING.sub("", text[_end_of_opening(text) :]).strip(" .!?\n")
    edits = [
        _parse_edit(part.strip(" ,;.\n")) for part in _NEXT.split(text) if part.strip(" ,;.\n")
    ]
    if len(edits) > 1 and None in edits:
        # What looked like two changes may be one with "and" in a name.
        edits = [_parse_edit(text)]
    return [edit for edit in edits if edit] if None not in edits else []


def _end_of_opening(text: str) -> int:
    match = _OPENING.match(text)
    return match.end() if match else 0


def _parse_edit(text: str) -> Edit | None:
    for kind, pattern in _PATTERNS:
        if match := pattern.fullmatch(text):
            found = {name: (value or "").strip() for name, value in match.groupdict().items()}
            items = parse_items(found.get("items", ""))
            if kind == "add" and not items:
                return None
            value = found.get("value", "")
            value = clean_name(value) if kind in {"customer", "replace"} else value
            return Edit(
                kind=kind, target=_target(found.get("target", "")), value=value, items=items
            )
    return _line_form(text)


def _target(text: str) -> str:
    target = clean_name(text)
    return (
        ""
        if target.casefold() in {"it", "that", "this", "item", "line", "product", "them"}
        else target
    )


def _line_form(text: str) -> Edit | None:
    """Read "5 laptops", "make it 2 chairs at 75" or "chairs at 75"."""
    match = _LINE_FORM.fullmatch(text)
    if match is None:
        return None
    item = parse_item(match["line"])
    if not item.name or (item.quantity is None and item.price is None):
        return None
    return Edit(kind="line", target=item.name, items=[item])


def find_lines(lines: list[Line], target: str) -> list[int]:
    """Return the indexes of the lines that *target* may mean; all of them when it is empty."""
    if not target:
        return list(range(len(lines)))
    number = _line_number(target, len(lines))
    if number is not None:
        return [number - 1] if 1 <= number <= len(lines) else []
    key = product_key(target)
    scores = [similarity(key, product_key(line.name)) for line in lines]
    best = max(scores, default=0.0)
    if best < SIMILAR:
        return []
    # "lamp" means the desk lamp as much as the floor lamp, unless one is called just that.
    least = best if best == 1.0 else max(SIMILAR, best - CLOSE)
    return [index for index, score in enumerate(scores) if score >= least]


def _line_number(target: str, count: int) -> int | None:
    if match := _NUMBERED.fullmatch(target):
        return int(match[1])
    if match := _ORDINAL.fullmatch(target):
        word = match[1].casefold()
        return count if word == "last" else _ORDINALS.get(word) or int(re.sub(r"\D", "", word))
    return None
