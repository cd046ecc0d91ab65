"""OpenAI's own clients, from PyPI and npm."""

from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai import OpenAI

from tests.acceptance.clients import node
from tests.acceptance.markdown import block
from tests.acceptance.processes import ROOT, Site
from tests.servers import free_port

DOCS = ROOT / "docs" / "clients.md"


@pytest.fixture
def client(site: Site) -> Iterator[OpenAI]:
    """Return Alice's client."""
    with OpenAI(base_url=f"{site.url}/v1", api_key=site.token("alice")) as client:
        yield client


@pytest.fixture
def of_bob(site: Site) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{site.url}/v1", api_key=site.token("bob")) as client:
        yield client


def said(*texts: str) -> Any:
    """Return the messages of a conversation, the user's first."""
    roles = ("user", "assistant")
    return [{"role": roles[place % 2], "content": text} for place, text in enumerate(texts)]


def test_chat_completions(site: Site, client: OpenAI) -> None:
    create = client.chat.completions.create
    site.close_gate("py-chat")
    words, lines, chunks = "", "", []
    message = said("speaker py-chat")
    options: Any = {"include_usage": True}
    for chunk in create(model="speaker", messages=message, stream=True, stream_options=options):
        chunks.append(chunk)
        for choice in chunk.choices:
            words += choice.delta.content or ""
            lines += getattr(choice.delta, "reasoning_content", None) or ""
            if choice.delta.content == "before ":
                site.open_gate("py-chat")
    assert words == "before after"
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].usage is not None
    whole = create(model="moves", messages=said("show moves"))
    assert whole.choices[0].message.content == "What next?"
    cited = whole.choices[0].message.annotations or []
    assert [each.url_citation.title for each in cited] == ["nginx", "Evil"]

    # A conversation that is told again goes on: with the answer to its question.
    asked = create(model="create_invoice", messages=said("invoice")).choices[0].message.content
    assert asked == "Which customer is the invoice for?"
    other = create(model="create_invoice", messages=said("invoice", asked, "cancel"))
    assert other.choices[0].message.content == "Cancelled."


def test_chat_completions_that_come_to_nothing(site: Site, client: OpenAI) -> None:
    create = client.chat.completions.create
    site.close_gate("endless")
    with pytest.raises(openai.InternalServerError) as failed:
        create(model="endless", messages=said("endless py"))
    assert (failed.value.status_code, failed.value.code) == (504, "timeout")
    late = client.responses.create(model="endless", input="endless")
    assert late.error is not None
    assert (late.status, late.error.code) == ("failed", "timeout")
    site.open_gate("endless")

    def cancel_in_mid_word() -> None:
        for chunk in create(model="speaker", messages=said("speaker py-cancelled"), stream=True):
            if chunk.choices[0].delta.content == "before ":
                client.responses.cancel(chunk.id.replace("chatcmpl-", "resp_"))

    site.close_gate("py-cancelled")
    with pytest.raises(openai.APIError, match="cancelled"):
        cancel_in_mid_word()
    site.open_gate("py-cancelled")
    # None of the two was sent again by the client.
    jobs = site.api("alice").get("/ai-demo/workflow/jobs?limit=100").json()["jobs"]
    texts = [job["text"] for job in jobs]
    assert [texts.count("endless py"), texts.count("speaker py-cancelled")] == [1, 1]


def test_responses(site: Site, client: OpenAI, of_bob: OpenAI) -> None:
    site.close_gate("py-words")
    made = client.responses.create(
        model="speaker", input="speaker py-words", background=True, metadata={"own": "yes"}
    )
    assert made.status in ("queued", "in_progress")
    seen = []
    with client.responses.retrieve(made.id, stream=True) as stream:
        for event in stream:
            seen.append(event)
            if event.type == "response.output_text.delta":
                break
    for refused in (of_bob.responses.retrieve, of_bob.responses.cancel, of_bob.responses.delete):
        with pytest.raises(openai.NotFoundError):
            refused(made.id)
    with client.responses.retrieve(
        made.id, stream=True, starting_after=seen[-1].sequence_number
    ) as stream:
        site.open_gate("py-words")
        seen += list(stream)
    assert [event.sequence_number for event in seen] == list(range(len(seen)))
    words = [event.delta for event in seen if event.type == "response.output_text.delta"]
    assert words == ["before ", "after"]
    last: Any = seen[-1]
    assert last.type == "response.completed"
    assert last.response.metadata["own"] == "yes"
    assert client.responses.retrieve(made.id) == last.response
    items = client.responses.input_items.list(made.id).data
    assert [item.content[0].text for item in items if item.type == "message"] == [  # type: ignore[union-attr]
        "speaker py-words"
    ]
    # The helper, too; and the next turn is of the same conversation.
    with client.responses.stream(
        model="moves", input="show moves", previous_response_id=made.id
    ) as helper:
        final = helper.get_final_response()
    assert final.output_text == "What next?"
    assert (final.metadata or {})["session_id"] == last.response.metadata["session_id"]
    client.responses.delete(made.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(made.id)


def test_in_node(site: Site) -> None:
    tokens = [site.token("alice"), site.token("bob")]
    assert int(node.run("openai.mjs", site.url, *tokens, str(site.gates))) == 6


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True, scope="session")
def test_a_server_that_is_killed_in_mid_word(own_site: Site, kind: str) -> None:
    """The client goes on where it was, at the next one."""
    site, port = own_site, free_port()
    web = site.start_web(port=port)
    site.start_cluster()
    site.close_gate("killed")
    seen: list[Any] = []
    with OpenAI(base_url=f"{site.url}/v1", api_key=site.token("alice")) as client:

        def kill_in_mid_word() -> None:
            create = client.responses.create
            for event in create(model="speaker", input="speaker killed", stream=True):
                seen.append(event)
                if event.type == "response.output_text.delta":
                    web.kill()

        with pytest.raises(openai.APIConnectionError):
            kill_in_mid_word()
        site.start_web(port=port)
        site.open_gate("killed")
        made = seen[0].response.id
        after = seen[-1].sequence_number
        with client.responses.retrieve(made, stream=True, starting_after=after) as stream:
            seen += list(stream)
    assert [event.sequence_number for event in seen] == list(range(len(seen)))
    assert seen[-1].response.output_text == "before after"


def own(code: str, site: Site) -> str:
    """Return a snippet of the docs with the site's own names in it."""
    for shown, real in (
        ("https://chat.example.com", site.url),
        ("YOUR_TOKEN", site.token("alice")),
        ("orders", "moves"),
    ):
        assert shown in code
        code = code.replace(shown, real)
    return code


def test_the_lines_of_the_docs_work(site: Site, capfd: pytest.CaptureFixture[str]) -> None:
    headings = ("OpenAI Responses", "OpenAI Chat Completions")
    for heading in headings:
        exec(own(block(DOCS, heading, "python"), site), {})
        assert capfd.readouterr().out.strip() == "What next?"
    code = own(block(DOCS, headings[0], "js"), site)
    code = code.replace("And now?", "show moves")
    assert node.run("--input-type=module", "-", input=code) == "What next?\n"
