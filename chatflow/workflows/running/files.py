"""The verbs that read what was sent with the message, and that bring it to a model."""

from collections.abc import Sequence

from chatflow.conf import conf
from chatflow.workflows.ai.messages import ChatMessage, File, Quotation, SentFile
from chatflow.workflows.exceptions import FileDeleted
from chatflow.workflows.knowledge import prompting
from chatflow.workflows.knowledge.models import Document
from chatflow.workflows.knowledge.readers import is_image
from chatflow.workflows.running.record import Record

# Characters that a model reads as one token, more or less.
TOKEN_LENGTH = 4
DELETED = "(A file that was sent with this message has been deleted since.)"


def list_files(record: Record) -> list[SentFile]:
    """See Context.files."""
    kept = record.origin.options.get("files", ())
    return [SentFile(each["id"], each["name"], each["type"], each["size"]) for each in kept]


def read(record: Record, file: SentFile) -> bytes:
    """See Context.read_file()."""
    return bytes(_find(record, file).content)


def read_text(record: Record, file: SentFile) -> str:
    """See Context.read_text()."""
    chunks = _find(record, file).chunks.order_by("position")
    text, heading = [], ""
    # Without `document` each chunk would be read by itself again.
    for chunk in chunks.only("document", "heading", "text"):
        if chunk.heading and chunk.heading != heading:
            text.append(chunk.heading)
        heading = chunk.heading
        text.append(chunk.text)
    return "\n\n".join(text)


def _find(record: Record, file: SentFile) -> Document:
    own = Document.objects.owned_by(record.job.user_id, record.job.tenant).filter(pk=file.id)
    found = record.events.wait_out(lambda: own.first())
    if found is None:
        raise FileDeleted
    return found


def bring(record: Record, messages: Sequence[ChatMessage], *, again: bool) -> list[ChatMessage]:
    """Return the messages with what was sent in them: images as they are, documents as text.

    Args:
        record: the run's.
        messages: for a model.
        again: its answer is recorded already: a file that is gone by now is no loss.

    Raises:
        FileDeleted: a file is gone, and the model has not seen it.
    """
    room = conf.AI_MEMORY_TOKENS * TOKEN_LENGTH
    brought = []
    for message in messages:
        parts: list[File | SentFile | Quotation] = []
        for file in message.get("files", ()):
            part = _bring(record, file, room, again=again) if isinstance(file, SentFile) else file
            room -= len(part.text) if isinstance(part, Quotation) else 0
            parts.append(part)
        brought.append(message if not parts else _with(message, parts))
    return brought


def _bring(record: Record, file: SentFile, room: int, *, again: bool) -> File | Quotation:
    try:
        if is_image(file.media_type):
            return File(read(record, file), file.media_type)
        return Quotation(prompting.as_file(file.name, read_text(record, file), max(0, room)))
    except FileDeleted:
        if not again:
            raise
        return Quotation(DELETED)


def _with(message: ChatMessage, parts: list[File | SentFile | Quotation]) -> ChatMessage:
    return {"role": message["role"], "content": message["content"], "files": parts}
