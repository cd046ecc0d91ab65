"""The full-text index sees terms that the project makes itself, alike on both databases."""

from importlib import import_module
from typing import Any

from django.db import migrations, models

from chatflow.workflows.knowledge import words

before = import_module("chatflow.workflows.knowledge.migrations.0002_fulltext")

BATCH = 500

POSTGRES = [
    "ALTER TABLE knowledge_chunk"
    " ADD COLUMN topic tsvector GENERATED ALWAYS AS (to_tsvector('simple', topics)) STORED,"
    " ADD COLUMN search tsvector GENERATED ALWAYS AS ("
    "setweight(to_tsvector('simple', topics), 'A') || setweight(to_tsvector('simple', terms), 'D')"
    ") STORED",
    "CREATE INDEX knowledge_chunk_topic ON knowledge_chunk USING gin (topic)",
    "CREATE INDEX knowledge_chunk_search ON knowledge_chunk USING gin (search)",
]
POSTGRES_BACK = ["ALTER TABLE knowledge_chunk DROP COLUMN search, DROP COLUMN topic"]

COLUMNS = "audience, topics, terms"
NEW = "new.audience, new.topics, new.terms"
OLD = NEW.replace("new.", "old.")
ADD = f"INSERT INTO knowledge_chunk_text (rowid, {COLUMNS}) VALUES (new.id, {NEW});"
REMOVE = (
    f"INSERT INTO knowledge_chunk_text (knowledge_chunk_text, rowid, {COLUMNS})"
    f" VALUES ('delete', old.id, {OLD});"
)
REBUILD = "INSERT INTO knowledge_chunk_text (knowledge_chunk_text) VALUES ('rebuild')"
SQLITE = [
    # A word is what stands between two spaces.
    f"CREATE VIRTUAL TABLE knowledge_chunk_text USING fts5({COLUMNS}, content='knowledge_chunk',"
    " content_rowid='id',"
    """ tokenize="unicode61 remove_diacritics 0 categories 'L* M* N* Co'")""",
    f"CREATE TRIGGER knowledge_chunk_added AFTER INSERT ON knowledge_chunk BEGIN {ADD} END",
    f"CREATE TRIGGER knowledge_chunk_removed AFTER DELETE ON knowledge_chunk BEGIN {REMOVE} END",
    f"CREATE TRIGGER knowledge_chunk_changed AFTER UPDATE OF {COLUMNS} ON knowledge_chunk"
    f" BEGIN {REMOVE} {ADD} END",
    REBUILD,
]


def drop_old(apps: Any, schema_editor: Any) -> None:
    before.back(apps, schema_editor)


def make_old(apps: Any, schema_editor: Any) -> None:
    before.forward(apps, schema_editor)
    if schema_editor.connection.vendor == "sqlite":
        schema_editor.execute(REBUILD)


def fill(apps: Any, schema_editor: Any) -> None:
    database = schema_editor.connection.alias
    chunks = apps.get_model("chatflow_knowledge", "Chunk").objects.using(database)
    rows = chunks.defer("embedding").order_by("pk")
    last = 0
    while batch := list(rows.filter(pk__gt=last)[:BATCH]):
        for row in batch:
            head = f"{row.heading} {row.title} {row.name}"
            row.topics, row.terms = words.indexed(head, row.text)
        chunks.bulk_update(batch, ["topics", "terms"])
        last = batch[-1].pk


def make_new(apps: Any, schema_editor: Any) -> None:
    postgres = schema_editor.connection.vendor == "postgresql"
    for statement in POSTGRES if postgres else SQLITE:
        schema_editor.execute(statement, params=None)


def drop_new(apps: Any, schema_editor: Any) -> None:
    postgres = schema_editor.connection.vendor == "postgresql"
    for statement in POSTGRES_BACK if postgres else before.SQLITE_BACK:
        schema_editor.execute(statement, params=None)


class Migration(migrations.Migration):
    dependencies = [("chatflow_knowledge", "0003_readers_name_the_kinds")]
    operations = [
        # On SQLite the fields below make the table anew, without its triggers.
        migrations.RunPython(drop_old, make_old),
        migrations.AddField(
            "chunk", "topics", models.TextField(blank=True, default=""), preserve_default=False
        ),
        migrations.AddField(
            "chunk", "terms", models.TextField(blank=True, default=""), preserve_default=False
        ),
        migrations.RunPython(fill, migrations.RunPython.noop),
        migrations.RunPython(make_new, drop_new),
    ]
