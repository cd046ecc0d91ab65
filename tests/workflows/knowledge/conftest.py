"""What the tests of knowledge share: a shelf to put documents on."""

from collections.abc import Callable
from typing import Any

import pytest

from chatflow.workflows.knowledge.documents import store
from chatflow.workflows.knowledge.models import Document

Shelve = Callable[..., Document]


@pytest.fixture
def shelve(db: None) -> Shelve:
    """Return what puts a Markdown document on the shelf: everybody's, unless it says whose."""

    def shelve(text: str, owner: Any = None, **options: Any) -> Document:
        document, _ = store(text.encode(), "text/markdown", owner=owner, **options)
        return document

    return shelve
