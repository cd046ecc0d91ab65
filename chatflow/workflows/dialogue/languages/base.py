"""The words of a language by meaning, so that answers in it are understood."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property


def phrases(*lists: str) -> frozenset[str]:
    """Return the words and phrases in *lists*, which are separated by commas."""
    return frozenset(each.strip() for text in lists for each in text.split(","))


def _any_of(phrases: Iterable[str], *patterns: str) -> str:
    """Return a pattern for any of *phrases*, as whole words, or of *patterns*."""
    whole = [
        rf"(?<!\w){re.escape(phrase)}" + (r"(?!\w)" if phrase[-1].isalnum() else "")
        for phrase in sorted(phrases, key=len, reverse=True)
    ]
    return f"(?:{'|'.join([*whole, *patterns])})"


@dataclass(frozen=True, kw_only=True)
class Language:
    """The words of a language, all in lower case and without the punctuation around them.

    A word that means another thing in another registered language is better left out: what two
    languages read differently is unclear, and asked again.

    Args:
        code: its name by BCP 47, such as "en".
        cancel: whole messages that cancel.
        skip: whole messages that decline to answer an optional question.
        yes: words that agree.
        no: words that refuse.
        assent: whole messages that agree without a word that does.
        polite: words that may stand beside a yes or a no without changing it.
        please: those of them that may stand in an assent.
        because: words between a verdict and its reason.
        hedge: words in the reason of a yes that make it no yes.
        nth: words that may precede the number of a choice.
        help: whole messages that want to know what can be done here.
        asking: words that a question begins with.
        opening: words and phrases before the name of what is to be done.
        article: words between the two.
    """

    code: str
    cancel: frozenset[str]
    skip: frozenset[str]
    yes: frozenset[str]
    no: frozenset[str]
    assent: frozenset[str]
    polite: frozenset[str]
    please: frozenset[str]
    because: frozenset[str]
    hedge: frozenset[str]
    nth: frozenset[str]
    help: frozenset[str] = frozenset()
    asking: frozenset[str] = frozenset()
    opening: frozenset[str] = frozenset()
    article: frozenset[str] = frozenset()

    @cached_property
    def reason(self) -> re.Pattern[str]:
        """A whole message: a verdict, and the reason for it that is said to be one."""
        because = _any_of(self.because, ":")
        return re.compile(
            rf"(?P<verdict>.{{1,60}}?)[\s,;:.-]*{because}\s*(?P<reason>.+)",
            re.IGNORECASE | re.DOTALL,
        )

    @cached_property
    def hedged(self) -> re.Pattern[str]:
        """What makes a yes no yes, anywhere in its reason."""
        return re.compile(_any_of(self.hedge, r"\?"), re.IGNORECASE)

    @cached_property
    def number(self) -> re.Pattern[str]:
        """A whole message, normalised: the number of a choice."""
        return re.compile(rf"#?(?:{_any_of(self.nth)} )?(\d{{1,4}})")
