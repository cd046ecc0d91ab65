"""What a user's words mean: cancel, skip, yes, no, one of several choices. Pure functions."""

import re
from collections.abc import Sequence
from typing import Any

CANCEL = {"cancel", "abort", "stop", "quit", "exit", "never mind", "nevermind"}
SKIP = {"skip", "skip it", "skip this", "none", "no thanks", "n/a", "pass", "-", "leave it empty"}
YES = {"yes", "y", "yep", "yeah", "yup", "ok", "okay", "sure", "confirm", "confirmed", "correct",
       "right", "true", "absolutely", "definitely", "agreed", "approve", "approved"}  # fmt: skip
NO = {"no", "n", "nope", "nah", "don't", "dont", "not", "never", "false", "wrong", "reject"}
# Whole messages that say yes without a word that does.
ASSENT = {"go ahead", "do it", "looks good", "looks good to me", "sounds good", "that's fine",
          "that is fine", "all good"}  # fmt: skip
# Words that may stand beside a yes or a no without changing it.
POLITE = {"please", "thanks", "thank", "you", "that's", "thats", "is", "it", "do", "go", "ahead",
          "all", "looks", "good", "fine", "create", "the", "and", "i", "sir", "now", "so",
          "want", "to", "this", "that", "well", "very", "of", "course"}  # fmt: skip

# A verdict and the reason for it, said to be one, or after a comma and the like.
REASON = re.compile(
    r"(?P<verdict>.{1,60}?)[\s,;:.-]*(?:\bbecause\b|\bsince\b|\breason:|:)\s*(?P<reason>.+)",
    re.IGNORECASE | re.DOTALL,
)
ASIDE = re.compile(r"(?P<verdict>[^,;.\n-]{1,60})[,;.\n-]+\s*(?P<reason>.+)", re.DOTALL)
HEDGE = re.compile(r"\b(?:but|unless|except|only|if|however|not)\b|\?", re.IGNORECASE)


def normalise(text: str) -> str:
    """Return *text* in lower case, without the punctuation around it and with single spaces."""
    plain = text.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    return re.sub(r"\s+", " ", plain).strip(" \t\n.,;:!?\"'()")


def is_cancel(text: str) -> bool:
    """Say whether the whole message is a word that cancels."""
    return normalise(text) in CANCEL


def is_skip(text: str) -> bool:
    """Say whether the whole message declines to answer an optional question."""
    return text.strip() == "-" or normalise(text) in SKIP


def yes_or_no(text: str) -> bool | None:
    """Read a message as yes or no, by whole words; None if it is neither, or more than that.

    "change the notebook quantity to 3" holds the letters of "ok" and "no", and is neither.
    """
    words = re.findall(r"[\w'/]+", normalise(text))
    if "?" in text:
        # "Is that correct?" wants an answer itself.
        return None
    if " ".join(word for word in words if word != "please") in ASSENT:
        return True
    if any(word not in YES | NO | POLITE for word in words):
        return None
    said_yes = any(word in YES for word in words)
    said_no = any(word in NO for word in words)
    if said_yes == said_no:
        return None
    return said_yes


def consent(text: str) -> tuple[bool, str] | None:
    """Read a message as a yes or a no that may give its reason; None if it is unclear.

    "yes because we moved" and "no, too expensive" give one. "yes, but only the first" is no yes.
    """
    verdict = yes_or_no(text)
    if verdict is not None:
        return verdict, ""
    found = REASON.fullmatch(text.strip()) or ASIDE.fullmatch(text.strip())
    if found is None:
        return None
    verdict, reason = yes_or_no(found["verdict"]), found["reason"].strip()
    if verdict is None:
        return None
    if verdict and (found.re is ASIDE or HEDGE.search(reason)):
        # What only looks like a yes must not count as one.
        return None
    return verdict, reason


def as_choices(choices: Sequence[Any]) -> list[dict[str, Any]]:
    """Return *choices*, each a value, a (value, label) pair or a mapping, as value and label."""
    result = []
    for choice in choices:
        if isinstance(choice, dict):
            result.append({"value": choice["value"], "label": str(choice["label"])})
        elif isinstance(choice, tuple | list):
            result.append({"value": choice[0], "label": str(choice[1])})
        else:
            result.append({"value": choice, "label": str(choice)})
    return result


def chosen(text: str, choices: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the choice that the user means by its number, value or label; None if unclear."""
    said = normalise(text)
    for key in ("value", "label"):
        exact = [choice for choice in choices if normalise(str(choice[key])) == said]
        if len(exact) == 1:
            return exact[0]
    number = re.fullmatch(r"#?(?:option |number |no\. )?(\d{1,4})", said)
    if number and 1 <= int(number[1]) <= len(choices):
        return choices[int(number[1]) - 1]
    # By whole words: a "no" is not a notebook.
    words = re.compile(rf"(?<!\w){re.escape(said)}(?!\w)")
    part = [choice for choice in choices if said and words.search(normalise(choice["label"]))]
    return part[0] if len(part) == 1 else None
