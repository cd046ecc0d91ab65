"""What every language must keep to. A language's own tests inherit it, and give examples."""

import time
from itertools import combinations
from typing import ClassVar

from chatflow.workflows.dialogue import languages
from chatflow.workflows.dialogue.answers import (
    as_choices,
    chosen,
    consent,
    is_cancel,
    is_skip,
    normalise,
    words,
    yes_or_no,
)
from chatflow.workflows.dialogue.languages import Language

# Characters of a message, the most that a send takes.
MOST = 4000
# Seconds in which it is read. It takes some milliseconds; a pattern that tries every way takes for
# ever.
SOON = 1.0


class LanguageContract:
    language: ClassVar[Language]
    # Whole messages, and what they mean.
    agrees: ClassVar[list[str]]
    refuses: ClassVar[list[str]]
    unclear: ClassVar[list[str]]
    # A message with a reason: (message, verdict, reason).
    reasons: ClassVar[list[tuple[str, bool, str]]]
    # Messages that begin with a yes and are none.
    hedged: ClassVar[list[str]]

    def test_it_is_registered_once(self) -> None:
        codes = [each.code for each in languages.LANGUAGES]
        assert self.language in languages.LANGUAGES
        assert codes.count(self.language.code) == 1

    def test_whole_messages_are_normalised(self) -> None:
        spoken = self.language
        for phrase in spoken.cancel | spoken.skip | spoken.assent:
            assert normalise(phrase) == phrase != ""

    def test_words_are_single_and_normalised(self) -> None:
        spoken = self.language
        for word in spoken.yes | spoken.no | spoken.polite | spoken.please | spoken.hedge:
            assert words(word) == [word]
        for word in spoken.because | spoken.nth:
            assert " ".join(word.lower().split()) == word != ""

    def test_no_word_means_two_things(self) -> None:
        spoken = self.language
        for one, another in combinations([spoken.yes, spoken.no, spoken.polite], 2):
            assert not one & another
        messages = [spoken.cancel, spoken.skip, spoken.assent, spoken.yes, spoken.no]
        for one, another in combinations(messages, 2):
            assert not one & another
        assert spoken.please <= spoken.polite
        assert not any(set(words(phrase)) & spoken.no for phrase in spoken.assent)

    def test_no_word_means_another_thing_in_another_language(self) -> None:
        for other in languages.LANGUAGES:
            for one, another in ((self.language, other), (other, self.language)):
                assert not (one.yes | one.assent) & another.no
                assert not one.cancel & (another.yes | another.no | another.assent | another.skip)

    def test_a_word_cancels_as_the_whole_message_only(self) -> None:
        for phrase in self.language.cancel:
            assert is_cancel(f" {phrase.upper()}! ")
            assert not is_cancel(f"{phrase} 2")
            assert not is_cancel(f"x{phrase}")

    def test_words_that_skip(self) -> None:
        for phrase in self.language.skip:
            assert is_skip(f"{phrase.title()}.")
            assert not is_skip(f"{phrase} 2")

    def test_each_word_is_understood(self) -> None:
        for word in self.language.yes | self.language.assent:
            assert yes_or_no(f"{word.upper()}!") is True
        for word in self.language.no:
            assert yes_or_no(f"{word.title()}.") is False
        for word in self.language.polite - self.language.assent:
            assert yes_or_no(word) is None

    def test_examples(self) -> None:
        assert [text for text in self.agrees if yes_or_no(text) is not True] == []
        assert [text for text in self.refuses if yes_or_no(text) is not False] == []
        assert [text for text in self.unclear if yes_or_no(text) is not None] == []

    def test_reasons(self) -> None:
        for text, verdict, reason in self.reasons:
            assert consent(text) == (verdict, reason)

    def test_a_hedged_yes_is_no_consent(self) -> None:
        yes, because = min(self.language.yes), min(self.language.because)
        assert consent(f"{yes} {because} 4711") == (True, "4711")
        for word in self.language.hedge:
            assert consent(f"{yes} {because} 4711 {word} 12") is None
        assert consent(f"{yes}, 4711") is None
        assert [text for text in self.hedged if consent(text) is not None] == []

    def test_the_number_of_a_choice(self) -> None:
        choices = as_choices(["first", "second"])
        for word in self.language.nth:
            assert chosen(f"{word.title()} 2", choices) == choices[1]

    def test_hostile_messages_are_read_soon(self) -> None:
        parts = {" ", "\n", "-", ":", ",", ".", "'", "a", "1", "a ", "a, ", "#", "\0", "?"}
        spoken = self.language
        for phrases in (spoken.yes, spoken.no, spoken.because, spoken.hedge, spoken.nth):
            parts |= {f"{min(phrases)}{end}" for end in ("", " ", ", ", ": ")}
        for part in parts:
            for text in ((part * MOST)[:MOST], (part * MOST)[: MOST - 1] + "\0"):
                began = time.process_time()
                for read in (is_cancel, is_skip, yes_or_no, consent):
                    read(text)
                spoken.reason.fullmatch(text)
                spoken.hedged.search(text)
                spoken.number.fullmatch(text)
                assert time.process_time() - began < SOON, ascii(text[:20])
