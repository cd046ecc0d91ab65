"""What every database's full-text index does alike."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from chatflow.workflows.knowledge.fulltext import FullText, base, full_text
from chatflow.workflows.knowledge.models import EVERYBODY, Chunk, audience_of
from tests.workflows.knowledge.conftest import Shelve

AUDIENCES = [EVERYBODY]


class FullTextContract:
    def index(self) -> FullText:
        return full_text()

    def best(self, *groups: list[str], **options: Any) -> list[str]:
        found = self.index().best(groups, AUDIENCES, 10, **options)
        titles = dict(Chunk.objects.values_list("pk", "title"))
        return [titles[chunk] for chunk in found]

    def test_words_are_found_by_their_stem(self, shelve: Shelve) -> None:
        shelve("# A\nStreaming the deployments.")
        assert self.best(["stream"]) == self.best(["streamed"]) == ["A"]
        assert self.best(["bread"]) == []

    def test_words_are_found_by_their_beginning(self, shelve: Shelve) -> None:
        shelve("# A\nThen createuser asks.")
        assert self.best(["create"]) == ["A"]

    def test_identifiers_are_found_by_their_words(self, shelve: Shelve) -> None:
        shelve("# A\nSet WORKFLOW_LEASE_SECONDS in nginx.conf or deploy/web.service.")
        for word in ("lease", "nginx", "conf", "web", "deploy"):
            assert self.best([word]) == ["A"]

    def test_a_heading_weighs_more_than_the_text(self, shelve: Shelve) -> None:
        shelve("# Text\nAbout the printer and other things.")
        shelve("# Heading\n## The printer\nAbout it and other things.")
        assert self.best(["printer"]) == ["Heading", "Text"]

    def test_any_group_or_every(self, shelve: Shelve) -> None:
        shelve("# Both\nred green")
        shelve("# One\nred")
        assert set(self.best(["red"], ["green"])) == {"Both", "One"}
        assert self.best(["red"], ["green", "lime"], every=True) == ["Both"]

    def test_counts(self, shelve: Shelve, alice: User) -> None:
        shelve("# A\nred green")
        shelve("# B\nreds")
        shelve("# C\nred", alice)
        index = self.index()
        assert index.counts(["red", "green", "blue"], AUDIENCES) == {
            "red": 2,
            "green": 1,
            "blue": 0,
        }
        assert index.counts(["red"], [EVERYBODY, audience_of(alice.pk)]) == {"red": 3}

    def test_an_audience_is_no_word_of_the_text(self, shelve: Shelve, alice: User) -> None:
        shelve("# Mine\nred all", alice)
        shelve(f"# Ours\nred {audience_of(alice.pk)}")
        assert self.best(["red"]) == ["Ours"]

    def test_what_only_ranks_finds_nothing(self, shelve: Shelve) -> None:
        shelve("# One\nred")
        shelve("# Both\nred green")
        shelve("# Other\ngreen")
        assert self.best(["red"], also=[["green"], ["lime"]]) == ["Both", "One"]

    @pytest.mark.parametrize("text", ["# Printer\nSet it up.", "printer, printer and printer"])
    def test_a_word_in_passing_hides_nothing(
        self, text: str, shelve: Shelve, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for module in ("sqlite", "postgres"):
            monkeypatch.setattr(f"{base.__package__}.{module}.CAP", 3)
        for number in range(6):
            shelve(f"# Note {number}\nBeside the printer.")
        shelve(text, title="About it")
        assert self.best(["printer"])[0] == "About it"

    def test_words_of_other_scripts(self, shelve: Shelve) -> None:
        shelve("# A\n東京タワー ภาษาไทย हिन्दी Ελλάς шёл")
        for word in ("タワ", "京", "ษา", "हिन्दी", "ελλασ", "шел"):
            assert self.best([word]) == ["A"], word
        assert self.index().counts(["東京", "हिन्दी"], AUDIENCES) == {"東京": 1, "हिन्दी": 1}

    def test_the_index_follows_the_rows(self, shelve: Shelve) -> None:
        document = shelve("# A\nred")
        Chunk.objects.update(topics="", terms="green")
        assert (self.best(["red"]), self.best(["green"])) == ([], ["A"])
        document.delete()
        assert self.best(["green"]) == []

    def test_it_looks_at_so_many_chunks_only(
        self, shelve: Shelve, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for module in ("sqlite", "postgres"):
            monkeypatch.setattr(f"{base.__package__}.{module}.CAP", 3)
        for number in range(6):
            shelve(f"# A {number}\nred")
        assert self.index().counts(["red"], AUDIENCES) == {"red": 3}
        assert len(self.best(["red"])) == 3

    def plan(self) -> str:
        """Return how the database says that it would answer best()."""
        raise NotImplementedError

    def explained(self, prefix: str) -> str:
        with CaptureQueriesContext(connection) as queries:
            self.index().best([["red"]], AUDIENCES, 5)
        with connection.cursor() as cursor:
            cursor.execute(f"{prefix} {queries[0]['sql']}")
            return "\n".join(str(row) for row in cursor.fetchall())

    def test_the_index_is_used(self, shelve: Shelve) -> None:
        shelve("# A\nred")
        plan = self.plan()
        assert self.used in plan, plan

    used = ""
