"""Documents of an older installation."""

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from chatflow.workflows.knowledge.models import Document
from chatflow.workflows.knowledge.search import search

BEFORE = [("chatflow_knowledge", "0003_readers_name_the_kinds")]


@pytest.mark.django_db(transaction=True)
def test_documents_from_before_are_found_by_their_words(alice: User) -> None:
    """0004 makes the terms of the chunks that are there; it can be taken back, too."""
    executor = MigrationExecutor(connection)
    executor.migrate(BEFORE)
    try:
        old = executor.loader.project_state(BEFORE).apps
        document = old.get_model("chatflow_knowledge", "Document").objects.create(
            title="A", kind="text/plain", content=b"", content_hash="", chunk_count=1
        )
        old.get_model("chatflow_knowledge", "Chunk").objects.create(
            document=document, position=1, audience="all", title="A", text="東京タワーの café"
        )
    finally:
        call_command("migrate", "chatflow_knowledge", verbosity=0)
    for question in ("東京タワー", "CAFE"):
        assert [source.title for source in search(question, user=alice)] == ["A"]


@pytest.mark.django_db
def test_processes_of_the_version_before_can_go_on_to_store_documents(alice: User) -> None:
    """They don't know the columns that 0005 has added under them."""
    before = (
        MigrationExecutor(connection)
        .loader.project_state([("chatflow_knowledge", "0004_terms")])
        .apps
    )
    old = before.get_model("chatflow_knowledge", "Document").objects.create(
        owner_id=alice.pk, title="A", kind="text/plain", content=b"", content_hash=""
    )
    document = Document.objects.get(pk=old.pk)
    assert (document.name, document.session) == ("", None)
