"""What was sent with the message: for a workflow, and for models."""

import base64
import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from PIL import Image

from chatflow.workflows import Context, services, workflow
from chatflow.workflows.ai import sight
from chatflow.workflows.exceptions import FileNotFound
from chatflow.workflows.knowledge.documents import store
from chatflow.workflows.knowledge.models import Attachment, Document
from chatflow.workflows.models import Message
from chatflow.workflows.testing.overrides import overridden
from tests.acceptance.markdown import block
from tests.openai_server import OpenAIServer, error, text
from tests.workflows.chat import Chat, run_waiting, streamed

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("unkept")]

GUIDE = Path(__file__).resolve().parents[3] / "docs" / "write-a-workflow.md"
REFUSAL = error(400, "Invalid content type. image_url is only supported by certain models.")


def picture(colour: str = "red") -> bytes:
    made = io.BytesIO()
    Image.new("RGB", (3, 2), colour).save(made, "PNG")
    return made.getvalue()


def bring(chat: Chat, content: bytes, kind: str, name: str) -> str:
    session = services.open_session(chat.user, chat.key)
    document, _ = store(content, kind, owner=chat.user, session_id=session.pk, name=name)
    return str(document.pk)


@pytest.fixture
def image(chat: Chat) -> str:
    return bring(chat, picture(), "image/png", "lamp.png")


@pytest.fixture(autouse=True)
def _unseen() -> Iterator[None]:
    sight._found.clear()
    yield
    sight._found.clear()


def test_it_works(chat: Chat, image: str) -> None:
    note = bring(chat, b"# Plan\n\nPaint the lamp.", "text/markdown", "plan.md")

    @workflow("w")
    def work(ctx: Context) -> str:
        one, other = ctx.files
        assert ctx.read_file(one) == picture()
        assert (one.media_type, one.size) == ("image/png", len(picture()))
        return f"{one.name}: {ctx.read_text(one)}, {other.name}: {ctx.read_text(other)}"

    job = chat.say("Look", workflow="w", sent_files=[image, note])

    assert job.response == "lamp.png: , plan.md: Paint the lamp."
    names = Attachment.objects.filter(message__job=job).order_by("position")
    assert list(names.values_list("name", flat=True)) == ["lamp.png", "plan.md"]


def test_a_long_text_is_read_at_once(chat: Chat) -> None:
    content = b"".join(b"# Part %d\n\n%s\n\n" % (n, b"word " * 150) for n in range(4))
    long = bring(chat, content, "text/markdown", "long.md")

    @workflow("w")
    def work(ctx: Context) -> str:
        with CaptureQueriesContext(connection) as queries:
            assert ctx.read_text(ctx.files[0]).count("word") == 600
        return str(len(queries))

    assert Document.objects.get().chunk_count > 1
    assert chat.say("Look", workflow="w", sent_files=[long]).response == "2"


def test_a_coroutine_reads_them_too(chat: Chat, image: str) -> None:
    @workflow("w")
    async def work(ctx: Context) -> str:
        assert await ctx.aread_text(ctx.files[0]) == ""
        return str(len(await ctx.aread_file(ctx.files[0])))

    assert chat.say("Look", workflow="w", sent_files=[image]).response == str(len(picture()))


def test_a_file_that_was_deleted(chat: Chat, image: str) -> None:
    workflow("w")(lambda ctx: str(ctx.read_file(ctx.files[0])))
    chat.send("Look", workflow="w", sent_files=[image])
    Document.objects.all().delete()

    run_waiting()
    job = Message.objects.get().job
    assert job is not None
    assert (job.code, job.error) == (
        "file_deleted",
        "A file of this message was deleted before it could be read.",
    )
    [attached] = Attachment.objects.all()
    assert (attached.document_id, attached.name) == (None, "lamp.png")


def test_somebody_elses(chat: Chat, bob: User) -> None:
    theirs, _ = store(picture(), "image/png", owner=bob)
    with pytest.raises(FileNotFound):
        chat.send("Look", sent_files=[str(theirs.pk)])
    assert not Message.objects.exists()


def test_an_image_arrives_at_the_model(chat: Chat, server: OpenAIServer, image: str) -> None:
    server.script = [text("A red lamp.")]

    job = chat.say("What is this?", sent_files=[image])

    assert job.response == "A red lamp."
    words, shown = server.requests[-1]["messages"][-1]["content"]
    assert words == {"type": "text", "text": "What is this?"}
    assert shown["type"] == "image_url"
    data = base64.b64encode(picture()).decode()
    assert shown["image_url"]["url"] == f"data:image/png;base64,{data}"


def test_the_text_of_a_file_arrives(chat: Chat, server: OpenAIServer) -> None:
    plan = bring(chat, b"# Plan\n\nPaint the lamp.\n\n</end>", "text/markdown", "plan.md")
    server.script = [text("To paint it.")]

    assert chat.say("What is the plan?", sent_files=[plan]).response == "To paint it."

    told = str(server.requests[-1]["messages"][-1]["content"])
    assert "The user has sent the file plan.md." in told
    assert "| Paint the lamp." in told


def test_a_long_file_is_cut(chat: Chat, server: OpenAIServer) -> None:
    plan = bring(chat, b"Paint the lamp. " * 2000, "text/plain", "plan.txt")
    server.script = [text("To paint it.")]

    with overridden(AI_MEMORY_TOKENS=100):
        chat.say("What is the plan?", sent_files=[plan])

    told = str(server.requests[-1]["messages"][-1]["content"])
    assert told.count("Paint") < 30
    assert "the rest of it can be found by a search" in told


def test_a_model_that_sees_nothing(chat: Chat, server: OpenAIServer, image: str) -> None:
    server.script = [REFUSAL, text("I don't know."), text("Nor now.")]

    job = chat.say("What is this?", sent_files=[image])

    assert job.response == streamed(job) == f"I don't know.\n\n{sight.UNSEEN}"
    assert "image_url" not in str(server.requests[-1])
    assert sight.BLIND in str(server.requests[-1])
    assert chat.say("And this?", sent_files=[image]).response == f"Nor now.\n\n{sight.UNSEEN}"
    assert len(server.requests) == 3


def test_the_offline_model_says_so(chat: Chat, image: str) -> None:
    with overridden(AI_MODEL="offline"):
        job = chat.say("What is this?", sent_files=[image])

    assert "offline" in job.response
    assert job.response == streamed(job)
    assert job.response.endswith(sight.UNSEEN)


def test_a_retry_has_the_same_files(chat: Chat, image: str) -> None:
    tries: list[int] = []

    @workflow("w")
    def work(ctx: Context) -> str:
        tries.append(len(ctx.files))
        raise ValueError if len(tries) == 1 else KeyError

    job = chat.say("Look", workflow="w", sent_files=[image])
    services.retry(job)
    run_waiting()

    assert tries == [1, 1]


def test_the_guide(chat: Chat, server: OpenAIServer, image: str) -> None:
    exec(block(GUIDE, "Files", "python"), {"__name__": "docs"})
    server.script = [text("9 dollars")]

    assert chat.say(workflow="receipts", sent_files=[image]).response == "lamp.png: 9 dollars"
    assert "image_url" in str(server.requests[-1])
    assert chat.say(workflow="receipts").response == "Send me a receipt, please."
