"""The latest messages of a conversation, as many as one answer carries."""

from django.db.models import QuerySet
from django.db.models.functions import Length

from chatflow.workflows.models import Message

# Characters of the messages of one answer; a single message may be half as long.
CHARACTERS = 2_000_000


def latest(messages: QuerySet[Message], most: int) -> list[Message]:
    """Return the latest of *messages*, the oldest of them first. Two queries.

    Args:
        messages: of a conversation.
        most: how many; there are fewer of very long ones, but always the last.
    """
    # Their lengths first: the long ones are not even read.
    lengths = messages.order_by("-pk").values_list("pk", Length("content"))[:most]
    oldest, left = None, CHARACTERS
    for key, length in lengths:
        left -= length
        if left < 0 and oldest is not None:
            break
        oldest = key
    if oldest is None:
        return []
    # One may have been added since.
    return list(messages.filter(pk__gte=oldest).order_by("pk"))[-most:]
