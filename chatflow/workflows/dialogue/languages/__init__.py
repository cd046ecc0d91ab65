"""The languages in which answers are understood, all of them at any time.

One more is a module beside these, a place in LANGUAGES, and a subclass of the contract in
tests/workflows/dialogue/languages/.
"""

from chatflow.workflows.dialogue.languages.base import Language
from chatflow.workflows.dialogue.languages.english import ENGLISH

__all__ = ["LANGUAGES", "Language"]

LANGUAGES: tuple[Language, ...] = (ENGLISH,)
