"""The full-text index, by what the database has for it."""

from typing import Any

from django.db import migrations

# Every mark is a space, so that "nginx.conf" and "docs/deploy" are found by each of their words;
# PostgreSQL would take them for a host and a file.
MARKS = r"""translate({column}, $$!"#$%&'()*+,-./:;<=>?@[\]^_`{{|}}~$$, repeat(' ', 32))"""
VECTOR = " || ".join(
    f"setweight(to_tsvector('english', {MARKS.format(column=column)}), '{weight}')"
    for column, weight in (("heading", "A"), ("title", "B"), ("name", "C"), ("text", "D"))
)
POSTGRES = [
    f"ALTER TABLE knowledge_chunk ADD COLUMN search tsvector GENERATED ALWAYS AS ({VECTOR}) STORED",
    "CREATE INDEX knowledge_chunk_search ON knowledge_chunk USING gin (search)",
]
POSTGRES_BACK = ["ALTER TABLE knowledge_chunk DROP COLUMN search"]

COLUMNS = "audience, title, name, heading, text"
NEW = "new.audience, new.title, new.name, new.heading, new.text"
OLD = NEW.replace("new.", "old.")
ADD = f"INSERT INTO knowledge_chunk_text (rowid, {COLUMNS}) VALUES (new.id, {NEW});"
REMOVE = (
    f"INSERT INTO knowledge_chunk_text (knowledge_chunk_text, rowid, {COLUMNS})"
    f" VALUES ('delete', old.id, {OLD});"
)
SQLITE = [
    f"CREATE VIRTUAL TABLE knowledge_chunk_text USING fts5({COLUMNS}, content='knowledge_chunk',"
    " content_rowid='id', tokenize='porter unicode61 remove_diacritics 2')",
    f"CREATE TRIGGER knowledge_chunk_added AFTER INSERT ON knowledge_chunk BEGIN {ADD} END",
    f"CREATE TRIGGER knowledge_chunk_removed AFTER DELETE ON knowledge_chunk BEGIN {REMOVE} END",
    f"CREATE TRIGGER knowledge_chunk_changed AFTER UPDATE OF {COLUMNS} ON knowledge_chunk"
    f" BEGIN {REMOVE} {ADD} END",
]
SQLITE_BACK = [
    "DROP TRIGGER knowledge_chunk_added",
    "DROP TRIGGER knowledge_chunk_removed",
    "DROP TRIGGER knowledge_chunk_changed",
    "DROP TABLE knowledge_chunk_text",
]


def forward(apps: Any, schema_editor: Any) -> None:
    postgres = schema_editor.connection.vendor == "postgresql"
    for statement in POSTGRES if postgres else SQLITE:
        schema_editor.execute(statement, params=None)


def back(apps: Any, schema_editor: Any) -> None:
    postgres = schema_editor.connection.vendor == "postgresql"
    for statement in POSTGRES_BACK if postgres else SQLITE_BACK:
        schema_editor.execute(statement, params=None)


class Migration(migrations.Migration):
    dependencies = [("chatflow_knowledge", "0001_initial")]
    operations = [migrations.RunPython(forward, back)]
