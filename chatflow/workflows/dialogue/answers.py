"""What a user's words mean: cancel, skip, yes, no, one of several choices. Pure functions.

The languages say which words mean it; each message is read in all of them.
"""

import re
from collections.abc import Sequence
from typing import Any

from chatflow.workflows.dialogue import languages
from chatflow.workflows.dialogue.languages import Language

# Declines to answer in every language.
DASH = "-"
# A verdict and, after a comma or the like, perhaps the reason for it.
ASIDE = re.compile(r"(?P<verdict>[^,;.\n-]{1,60})[,;.\n-]+\s*(?P<reason>.+)", re.DOTALL)


def normalise(text: str) -> str:
    """Return *text* in lower case, without the punctuation around it and with single spaces."""
    plain = text.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    return re.sub(r"\s+", " ", plain).strip(" \t\n.,;:!?\"'()")


def words(text: str) -> list[str]:
    """Return the words of a message, normalised."""
    return re.findall(r"[\w'/]+", normalise(text))


def is_cancel(text: str) -> bool:
    """Say whether the whole message is a word that cancels."""
    said = normalise(text)
    return any(said in language.cancel for language in languages.LANGUAGES)


def is_skip(text: str) -> bool:
    """Say whether the whole message declines to answer an optional question."""
    said = normalise(text)
    return said == DASH or any(said in language.skip for language in languages.LANGUAGES)


def is_help(text: str) -> bool:
    """Say whether the whole message wants to know what can be done here."""
    said = normalise(text)
    return any(said in language.help for language in languages.LANGUAGES)


def is_question(text: str) -> bool:
    """Say whether a message clearly asks something: by its first word, and its mark.

    "Acme?" is an answer by somebody who isn't sure.
    """
    said = words(text)
    return text.rstrip().endswith("?") and any(
        bool(said) and said[0] in language.asking for language in languages.LANGUAGES
    )


def calls_for(text: str, name: str) -> bool:
    """Say whether a message clearly wants *name* done, and doesn't only mention it.

    "run a long demo" and "long demo" do. "Invoice Ltd" wants no "invoice", and "Bill" is a name.

    Args:
        text: the message.
        name: one word or several, in lower case.
    """
    said, wanted = normalise(text), normalise(name)
    if not wanted:
        return False
    if " " in wanted and f"{said} ".startswith(f"{wanted} "):
        return True
    return any(
        f"{_without_opening(said, language)} ".startswith(f"{wanted} ")
        for language in languages.LANGUAGES
    )


def _without_opening(said: str, language: Language) -> str:
    """Return what a message wants done; nothing where it doesn't begin as a wish does."""
    rest = said
    for phrases in (language.opening, language.opening, language.opening, language.article):
        for phrase in sorted(phrases, key=len, reverse=True):
            if rest.startswith(f"{phrase} "):
                rest = rest.removeprefix(f"{phrase} ")
                break
        if rest == said:
            return ""
    return rest


def yes_or_no(text: str) -> bool | None:
    """Read a message as yes or no, by whole words; None if it is neither, or more than that.

    "change the notebook quantity to 3" holds the letters of "ok" and "no", and is neither. Nor is
    what two languages read differently.
    """
    if "?" in text:
        # "Is that correct?" wants an answer itself.
        return None
    said = words(text)
    verdicts = {_verdict(said, language) for language in languages.LANGUAGES} - {None}
    return verdicts.pop() if len(verdicts) == 1 else None


def _verdict(said: Sequence[str], language: Language) -> bool | None:
    if " ".join(word for word in said if word not in language.please) in language.assent:
        return True
    if not language.yes | language.no | language.polite >= set(said):
        return None
    said_yes = any(word in language.yes for word in said)
    said_no = any(word in language.no for word in said)
    return None if said_yes == said_no else said_yes


def consent(text: str) -> tuple[bool, str] | None:
    """Read a message as a yes or a no that may give its reason; None if it is unclear.

    "yes because we moved" and "no, too expensive" give one. "yes, but only the first" is no yes.
    """
    verdict = yes_or_no(text)
    if verdict is not None:
        return verdict, ""
    for found in _split_at_reasons(text.strip()):
        verdict, reason = yes_or_no(found["verdict"]), found["reason"].strip()
        if verdict is not None:
            # What only looks like a yes must not count as one.
            doubtful = verdict and (found.re is ASIDE or _is_hedged(reason))
            return None if doubtful else (verdict, reason)
    return None


def is_decision(text: str) -> bool:
    """Say whether a message decides an approval: as a yes or a no, or as JSON."""
    return consent(text) is not None or text.lstrip().startswith("{")


def _split_at_reasons(text: str) -> list[re.Match[str]]:
    """Return the message as a verdict and its reason; an aside only where no language has one."""
    found = [language.reason.fullmatch(text) for language in languages.LANGUAGES]
    return [each for each in found if each] or [each for each in [ASIDE.fullmatch(text)] if each]


def _is_hedged(reason: str) -> bool:
    return any(language.hedged.search(reason) for language in languages.LANGUAGES)


def as_choices(choices: Sequence[Any]) -> list[dict[str, Any]]:
    """Return *choices*, each a value, a (value, label) pair or a mapping, as value and label.

    Raises:
        TypeError: they are one text, whose letters would be the choices.
    """
    if isinstance(choices, str):
        raise TypeError(f"The choices are {choices!r}: write a list, [{choices!r}].")
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
    number = _number(said)
    if number is not None and 1 <= number <= len(choices):
        return choices[number - 1]
    # By whole words: a "no" is not a notebook.
    words = re.compile(rf"(?<!\w){re.escape(said)}(?!\w)")
    part = [choice for choice in choices if said and words.search(normalise(choice["label"]))]
    return part[0] if len(part) == 1 else None


def _number(said: str) -> int | None:
    found = (language.number.fullmatch(said) for language in languages.LANGUAGES)
    return next((int(each[1]) for each in found if each), None)
