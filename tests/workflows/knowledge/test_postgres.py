"""PostgreSQL's full-text index keeps the contract."""

import pytest
from django.db import connection

from chatflow.workflows.knowledge.fulltext.postgres import Postgres
from chatflow.workflows.knowledge.models import Chunk, Document
from tests.workflows.knowledge.contract import FullTextContract

pytestmark = pytest.mark.postgresql


class TestPostgres(FullTextContract):
    used = "knowledge_chunk_search"

    def index(self) -> Postgres:
        return Postgres()

    def plan(self) -> str:
        # A small table is read faster without any index.
        document = Document.objects.get()
        Chunk.objects.bulk_create(
            Chunk(document=document, audience="all", text="green " * 100, position=number)
            for number in range(9, 3000)
        )
        with connection.cursor() as cursor:
            # Else each search goes through what the index has yet to sort in.
            cursor.execute("SELECT gin_clean_pending_list('knowledge_chunk_search')")
            cursor.execute("ANALYZE knowledge_chunk")
            cursor.execute("SET LOCAL enable_seqscan = off")
        return self.explained("EXPLAIN")
