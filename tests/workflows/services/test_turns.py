"""The turns of a conversation, and what an edit cuts off it."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from chatflow.workflows import workflow
from chatflow.workflows.models import Message, Session
from chatflow.workflows.services.turns import cut_from
from tests.workflows.chat import Chat

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("unkept")]


@pytest.fixture(autouse=True)
def _flows() -> None:
    workflow("echo")(lambda ctx: f"Echo: {ctx.message}")


def test_a_long_conversation_is_cut_with_few_and_small_queries(chat: Chat) -> None:
    """It is locked meanwhile."""
    for number in range(4):
        chat.say(f"{number}", workflow="echo")
    second = Message.objects.get(content="1")

    with CaptureQueriesContext(connection) as queries:
        cut = cut_from(Session.objects.get(), second.pk)

    assert len(cut) == 6
    # The session, its messages, its jobs; the cut messages and the session are stored.
    assert len(queries) == 5
    read = " ".join(each["sql"] for each in queries)
    for large in ('_message"."content"', '_job"."text"', '_job"."response"', '_job"."usage"'):
        assert large not in read
