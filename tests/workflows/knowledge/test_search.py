"""One search over all that a user may see."""

import re
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from chatflow.workflows.knowledge.models import Chunk, Document, audience_of
from chatflow.workflows.knowledge.prompting import RELEVANT, offline_answer
from chatflow.workflows.knowledge.search import search
from chatflow.workflows.knowledge.words import words_of
from tests.workflows.knowledge.conftest import Shelve

DEPLOY = """# Put it on a server
How to run it.
## nginx
Switch buffering off for Server-Sent Events (SSE), and set the read timeout.
## Backups
Dump the database every night.
"""


def titles(query: str, user: User) -> list[str]:
    return [source.title for source in search(query, user=user)]


def test_it_works(shelve: Shelve, alice: User) -> None:
    document = shelve(DEPLOY, path="/docs/deploy.md")
    shelve("# Other\nNothing of the kind.")
    first, *_ = search("How do I set nginx for SSE?", user=alice)
    assert first.title == "Put it on a server > nginx"
    assert first.relevance >= 60
    assert first.id == f"{document.pk}-2"
    assert first.url == f"/ai-demo/knowledge/pages/{document.pk}#chunk-2"
    assert first.text.startswith("Switch buffering off")
    assert "Events (SSE)" in first.content_preview
    assert {"SSE", "set"} <= set(first.highlights)
    assert set(first.as_dict()) == {"id", "title", "url", "relevance", "content_preview"}


def test_a_document_that_lives_elsewhere_is_linked_to(shelve: Shelve, alice: User) -> None:
    shelve(DEPLOY, url="https://docs.example.com/deploy")
    assert search("nginx", user=alice)[0].url == "https://docs.example.com/deploy"


def test_words_of_the_files_name_are_found(shelve: Shelve, alice: User) -> None:
    shelve(DEPLOY, path="/docs/deploying-it.md")
    assert titles("deployment", alice)


def test_who_sees_what(shelve: Shelve, alice: User, bob: User, charlie: User) -> None:
    shelve("# Everybody's\nThe secret of the soup.")
    shelve("# Alice's\nThe secret of the soup.", alice)
    shelve("# Bob's\nThe secret of the soup.", bob)
    assert set(titles("soup secret", alice)) == {"Everybody's", "Alice's"}
    assert set(titles("soup secret", bob)) == {"Everybody's", "Bob's"}
    assert titles("soup secret", charlie) == ["Everybody's"]


def test_the_documents_have_the_last_word(shelve: Shelve, alice: User, bob: User) -> None:
    """A change of owner that reached the document but not the index shows nothing to anybody."""
    document = shelve("# Alice's\nsoup")
    Document.objects.filter(pk=document.pk).update(owner=alice)
    assert Chunk.objects.get().audience == "all"
    assert titles("soup", bob) == []


def test_relevance_is_comparable(shelve: Shelve, alice: User) -> None:
    shelve(DEPLOY)
    shelve("# Kitchen\nThe timeout of the oven, and a table to set.")
    known = search("nginx buffering timeout", user=alice)[0]
    unknown = search("What is the weather in Paris timeout?", user=alice)
    assert known.relevance >= 60
    assert all(source.relevance < 30 for source in unknown)


def test_a_synonym_is_found(shelve: Shelve, alice: User) -> None:
    shelve("# A\nHow to prune jobs.")
    assert titles("delete", alice) == ["A"]


def test_a_rare_word_is_not_met_by_a_synonym_that_is_everywhere(
    shelve: Shelve, alice: User
) -> None:
    for number in range(30):
        shelve(f"# Note {number}\ntoken, token and token")
    shelve("# Guide\nHow to login here.")
    assert titles("login", alice)[0] == "Guide"


def test_the_example_of_the_documentation(as_alice: Client, alice: User) -> None:
    """What docs/knowledge.md uploads answers the questions that one would ask it."""
    page = (Path(__file__).parents[3] / "docs/knowledge.md").read_text()
    [sent] = re.findall(r"-d '(\{\"text\".*?\})'", page)
    shelf = "/ai-demo/knowledge/documents"
    assert as_alice.post(shelf, sent, content_type="application/json").status_code == 201
    for question in (
        "When is the machine descaled?",
        "When do we descale the coffee machine?",
        "What happens on Mondays?",
    ):
        answer = offline_answer(search(question, user=alice))
        assert answer is not None
        assert "descaled on Mondays" in answer
    assert offline_answer(search("When is the oven cleaned?", user=alice)) is None


@pytest.mark.parametrize(
    ("text", "question"),
    [
        ("Die Größe der Straße", "GRÖSSE DER STRASSE"),
        ("La machine à café est détartrée le lundi.", "machine a cafe DÉTARTRÉE"),
        ("Cafe\u0301 du nord", "café nord"),
        ("A con\ufb01guration \ufb01le", "configuration file"),
        ("The con\xadfig\xaduration of the print\xad\ner", "configuration printer"),
        ("The configu-\nration of the print-\n  ers", "configuration printers"),
        ("It is a well-\nknown fact.", "well known fact"),
        ("ｆｕｌｌｗｉｄｔｈ ｶﾀｶﾅ", "fullwidth カタカナ"),
        ("東京タワーの高さは333メートルです。", "東京タワーの高さは?"),
        ("東京\nタワーの高さ", "東京タワー"),
        ("咖啡机每周一除垢。", "咖啡机每周除垢"),
        ("咖啡机每周一除垢。", "垢"),
        ("เครื่องชงกาแฟทำความสะอาดทุกวันจันทร์", "ทำความสะอาดเครื่องชงกาแฟ"),
        ("कॉफ़ी मशीन सोमवार को साफ़ होती है", "कॉफ़ी मशीन कब साफ़ होती है?"),
        ("Τον Μάιο το μηχάνημα καθαρίζεται", "ΜΗΧΑΝΗΜΑ ΚΑΘΑΡΙΖΕΤΑΙ"),
        ("مُحَمَّد يُنَظِّف الآلة", "محمد ينظف الآلة"),
        ("İstanbul'da temizlenir", "istanbul'da temizlenir"),
    ],
)
def test_a_documents_own_words_find_it(
    text: str, question: str, shelve: Shelve, alice: User
) -> None:
    shelve(text, title="A")
    shelve("Other things", title="B")
    first, *_ = search(question, user=alice)
    assert (first.title, first.text) == ("A", text)
    assert first.relevance >= RELEVANT
    assert first.highlights or "-\n" in text


@pytest.mark.parametrize(
    ("text", "question"),
    [
        ("Die Maschine wird montags entkalkt.", "Wann wird die Maschine entkalkt?"),
        ("咖啡机每周一除垢。", "咖啡机什么时候除垢？"),
        ("커피 머신은 월요일에 청소합니다", "커피 머신은 언제 청소합니까"),
        ("Кофемашину чистят в понедельник.", "Когда чистят кофемашину?"),
    ],
)
def test_a_question_as_people_ask_it(text: str, question: str, shelve: Shelve, alice: User) -> None:
    shelve(text, title="A")
    shelve("Other things", title="B")
    assert titles(question, alice) == ["A"]


@pytest.mark.parametrize(
    "text",
    [
        "# The printer\nHow it is set up.",
        "# The printer\n## Set up\nPlug it in.",
        "# Set up\nThe printer needs ink, a printer needs paper, and each printer needs time.",
    ],
)
def test_a_frequent_word_finds_what_is_about_it(
    text: str, shelve: Shelve, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("search", "fulltext.sqlite", "fulltext.postgres"):
        monkeypatch.setattr(f"chatflow.workflows.knowledge.{module}.CAP", 3)
    for number in range(9):
        shelve(f"# Note {number}\nIt stands beside the printer.")
    document = shelve(text)
    for question in ("printer", "How do I use the printer?", "Is there a manual of the printer?"):
        assert search(question, user=alice)[0].id.startswith(str(document.pk))


def test_a_rarer_word_does_not_hide_where_both_meet(
    shelve: Shelve, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chatflow.workflows.knowledge.search.POOL", 3)
    monkeypatch.setattr("chatflow.workflows.knowledge.search.CAP", 12)
    for number in range(8):
        shelve(f"It is red, or {number}.", title="First")
        shelve(f"It is green, or {number}.", title="Second")
    for number in range(20):
        shelve(f"Something else {number}")
    shelve("It is red, or green.", title="Both")
    assert titles("What is red or green?", alice)[0] == "Both"


def test_how_many(shelve: Shelve, alice: User) -> None:
    for number in range(8):
        shelve(f"# A {number}\nred")
    assert len(search("red", user=alice)) == 5
    assert len(search("red", user=alice, limit=2)) == 2
    assert search("red", user=alice, limit=0) == search("red", user=alice, limit=-1) == []


ODD = [
    "",
    " \n",
    "?!",
    "\0",
    "red\0green",
    "\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16"),
    "'; DROP TABLE knowledge_chunk; --",
    '"unbalanced',
    "red AND OR NOT NEAR(green, 2)",
    "text : red* ^green -blue {a b}",
    "red & | ! <-> :* (",
    "%s %(a)s %",
    "\\ \\' \\0",
    "red " * 1000,
    "".join(chr(33 + number % 90) for number in range(4000)),
    " ".join(f"word{number}" for number in range(600)),
    "x" * 4000,
    "Ünïcödé ß 字 ١٢ ½ ﬁ",
    "\ue000red\ue001",
    "who are you",
]


@pytest.mark.parametrize("query", ODD, ids=range(len(ODD)))
def test_no_query_is_an_error(query: str, shelve: Shelve, alice: User) -> None:
    shelve("# A\nred green ½ 字 Ünïcödé")
    assert all(title == "A" for title in titles(query, alice))


def test_a_preview_is_plain_text(shelve: Shelve, alice: User) -> None:
    shelve("# A <i>\n<script>alert('red')</script> \ue000red\ue001 &amp; \x07")
    [source] = search("red", user=alice)
    # PostgreSQL leaves tags out.
    assert source.content_preview.replace("<script>", "").replace("</script>", "") == (
        "alert('red') red &amp;"
    )
    assert set(source.highlights) == {"red"}


def test_common_words_find_where_they_meet(
    shelve: Shelve, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("search", "fulltext.sqlite", "fulltext.postgres"):
        monkeypatch.setattr(f"chatflow.workflows.knowledge.{module}.CAP", 3)
    for number in range(5):
        shelve(f"# Red {number}\nred")
        shelve(f"# Green {number}\ngreen")
    shelve("# Both\nred green")
    assert titles("red green", alice) == ["Both"]


def test_a_search_is_a_few_queries(shelve: Shelve, alice: User) -> None:
    for number in range(20):
        shelve(f"# A {number}\nred green blue")
    with CaptureQueriesContext(connection) as queries:
        search("red green blue", user=alice)
    assert len(queries) <= 8


def test_words_of_a_question() -> None:
    assert words_of("How do I set nginx for SSE?") == ["set", "nginx", "sse"]
    assert words_of("Streams, streaming and stream!") == ["streams"]
    assert len(words_of(" ".join(f"word{number}x" for number in range(100)))) == 32


def test_what_an_organisation_finds(shelve: Shelve, alice: User, bob: User) -> None:
    """As in the list of documents; the index and the documents themselves say the same."""
    soup = "The secret of the soup."
    shelve(f"# Everybody's\n{soup}")
    for tenant in ("a", "b"):
        shelve(f"# All of {tenant}\n{soup}", tenant=tenant)
        shelve(f"# Alice in {tenant}\n{soup}", alice, tenant=tenant)
    shelve(f"# Alice alone\n{soup}", alice)

    def found(user: User, tenant: str) -> set[str]:
        sources = search("soup secret", user=user, tenant=tenant, limit=10)
        assert {source.title for source in sources} == {
            each.title for each in Document.objects.visible_to(user, tenant)
        }
        return {source.title for source in sources}

    assert found(alice, "a") == {"Everybody's", "All of a", "Alice in a"}
    assert found(bob, "a") == {"Everybody's", "All of a"}
    assert found(alice, "") == {"Everybody's", "Alice alone"}
    assert found(bob, "c") == {"Everybody's"}
    # The index alone has left out what others find.
    assert audience_of(alice.pk, tenant="a") != audience_of(alice.pk, tenant="b")
    assert len(set(Chunk.objects.values_list("audience", flat=True))) == 6
