"""ctx.ai over real HTTP: requests, their records, and the outcome of a provider's failures."""

import asyncio
import json
import threading
from dataclasses import dataclass

import pytest
from django.conf import LazySettings
from pydantic_ai.messages import ModelResponse, PartStartEvent, TextPart

from chatflow.workflows import Context, File, ToolError
from chatflow.workflows.ai import reasoning
from chatflow.workflows.ai.messages import ChatMessage
from chatflow.workflows.ai.recorded import Hearer
from chatflow.workflows.ai.sight import UNSEEN
from chatflow.workflows.models import Job, State, Step
from chatflow.workflows.running.record import Record
from tests.configure import configure
from tests.openai_server import (
    INPUT_TOKENS,
    OUTPUT_TOKENS,
    Answer,
    OpenAIServer,
    call,
    error,
    frame,
    garbage,
    output,
    stream,
    text,
)
from tests.workflows.chat import Chat, Crashes, events, resume, streamed

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("unkept")]


def hello(ctx: Context) -> str:
    return ctx.ai("Hello")


def shown(ctx: Context) -> str:
    return ctx.ai("Hello", show=True)


@pytest.mark.parametrize("model", ["openai-chat:gpt-4o-mini", "openai:gpt-4o-mini"])
def test_it_works(chat: Chat, server: OpenAIServer, settings: LazySettings, model: str) -> None:
    configure(settings, AI_MODEL=model)
    server.script = [text("Hello to you too.")]

    job = chat.begin(hello)

    assert job.response == "Hello to you too."
    assert len(server.requests) == 1
    assert job.usage == {
        "requests": 1,
        "input_tokens": INPUT_TOKENS,
        "output_tokens": OUTPUT_TOKENS,
        "models": ["gpt-4o-mini"],
        # 0.15 and 0.60 dollars for a million tokens.
        "cost_usd": pytest.approx(100 * 0.15e-6 + 20 * 0.6e-6),
    }
    assert events(job)[-1].data["usage"] == job.usage


def test_an_answer_is_not_lost_over_its_price(
    chat: Chat, server: OpenAIServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cost(response: ModelResponse) -> None:
        raise TypeError

    monkeypatch.setattr(ModelResponse, "cost", cost)
    server.script = [text("Hello.")]

    job = chat.begin(hello)

    assert job.response == "Hello."
    assert "cost_usd" not in job.usage


@pytest.mark.parametrize("model", ["openai-chat:gpt-4o-mini", "openai:gpt-4o-mini"])
def test_words_stream(chat: Chat, server: OpenAIServer, settings: LazySettings, model: str) -> None:
    configure(settings, AI_MODEL=model)
    server.script = [text("These words come in pieces.")]

    job = chat.begin(shown)

    assert job.response == streamed(job) == "These words come in pieces."
    assert job.usage["output_tokens"] == OUTPUT_TOKENS
    assert server.requests[0]["stream"] is True


def test_a_conversation_and_instructions(chat: Chat, server: OpenAIServer) -> None:
    server.script = [text("Bob.")]

    def work(ctx: Context) -> str:
        return ctx.ai(
            [
                {"role": "user", "content": "I am Bob."},
                {"role": "assistant", "content": "Hello Bob."},
                {"role": "user", "content": "Who am I?"},
            ],
            instructions="Be short.",
        )

    assert chat.begin(work).response == "Bob."
    assert [(each["role"], each["content"]) for each in server.requests[0]["messages"]] == [
        ("system", "Be short."),
        ("user", "I am Bob."),
        ("assistant", "Hello Bob."),
        ("user", "Who am I?"),
    ]


@dataclass
class Order:
    product: str
    count: int


def order(ctx: Context) -> str:
    return f"{ctx.ai('3 lamps', output_type=Order)!r}"


def test_a_type_is_filled(chat: Chat, server: OpenAIServer) -> None:
    server.script = [output(product="lamp", count="many"), output(product="lamp", count=3)]

    job = chat.begin(order)

    # The model was told the mistake in its first response.
    assert job.response == "Order(product='lamp', count=3)"
    assert "valid integer" in str(server.requests[1]["messages"])
    assert job.usage["requests"] == 2


def test_a_type_that_is_never_filled(chat: Chat, server: OpenAIServer) -> None:
    server.script = [output(product="lamp")] * 3

    job = chat.begin(order)

    assert (job.state, job.code) == (State.FAILED, "ai_unavailable")
    assert job.usage["requests"] == 3


def test_tools(chat: Chat, server: OpenAIServer) -> None:
    server.script = [
        call("price", product="lamp"),
        call("price", product="moon"),
        text("A lamp is 49.90, the moon isn't for sale."),
    ]
    products = []

    def price(product: str) -> float:
        """Look up what a product costs."""
        products.append(product)
        if product != "lamp":
            raise ToolError(f"There is no {product}.")
        return 49.90

    job = chat.begin(lambda ctx: ctx.ai("What is a lamp?", tools=[price]))

    assert job.response == "A lamp is 49.90, the moon isn't for sale."
    assert products == ["lamp", "moon"]
    function = server.requests[0]["tools"][0]["function"]
    assert (function["name"], function["description"]) == (
        "price",
        "Look up what a product costs.",
    )
    assert function["parameters"]["properties"] == {"product": {"type": "string"}}
    assert server.requests[1]["messages"][-1]["content"] == "49.9"
    assert "There is no moon." in str(server.requests[2]["messages"])


def test_the_words_of_two_answers_stand_apart(
    chat: Chat, server: OpenAIServer, settings: LazySettings
) -> None:
    crashes = Crashes("in the tool")
    server.script = [
        Answer(text="Let me look.", calls=[("look", {})]),
        Answer(text="It is cut off.", cut=3),
        text("I see a lamp."),
    ]

    def look() -> str:
        """Look."""
        crashes.at("in the tool")
        return "a lamp"

    job = resume(chat.begin(lambda ctx: ctx.ai("What is there?", tools=[look], show=True)))

    assert job.response == "I see a lamp."
    assert streamed(job) == "Let me look.\n\nI see a lamp."


def test_a_crash_repeats_nothing(chat: Chat, server: OpenAIServer, settings: LazySettings) -> None:
    configure(settings, WORKFLOW_TRIES=9)
    crashes = Crashes("in the tool", "after the tool", "at the end")
    used = []
    server.script = [call("look"), call("look"), text("Done.")]

    def look() -> str:
        """Look."""
        crashes.at("in the tool")
        used.append("look")
        if len(used) == 2:
            crashes.at("after the tool")
        return "I see."

    def work(ctx: Context) -> str:
        answer = ctx.ai("Look twice", tools=[look])
        crashes.at("at the end")
        return answer

    job = resume(resume(resume(chat.begin(work))))

    assert job.response == "Done."
    assert len(server.requests) == 3
    # A tool is a plain step: the call whose worker died before its record was made again.
    assert used == ["look", "look", "look"]
    assert (job.usage["requests"], job.attempt) == (3, 4)


def test_half_streamed_words_start_over(
    chat: Chat, server: OpenAIServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    crashes = Crashes("here")
    server.script = [text("First half, second half."), text("Now all of it.")]
    say = Record.say

    def work(ctx: Context) -> str:
        ctx.write("Well. ")
        return ctx.ai("Hello", show=True)

    def breaking(record: Record, words: str) -> None:
        say(record, words)
        if "alf" in words:
            crashes.at("here")

    monkeypatch.setattr(Record, "say", breaking)
    job = resume(chat.begin(work))

    assert (job.response, streamed(job)) == ("Now all of it.", "Well. Now all of it.")
    assert len(server.requests) == 2
    restarted = [event for event in events(job) if event.type == "restarted"]
    assert [event.data["text_length"] for event in restarted] == [len("Well. ")]


def test_a_replayed_answer_is_streamed_once(chat: Chat, server: OpenAIServer) -> None:
    crashes = Crashes("after")
    server.script = [text("Only once.")]

    def work(ctx: Context) -> str:
        answer = ctx.ai("Hello", show=True)
        crashes.at("after")
        return answer

    job = resume(chat.begin(work))

    assert job.response == streamed(job) == "Only once."
    assert len(server.requests) == 1


def test_a_later_turn_replays_the_requests(chat: Chat, server: OpenAIServer) -> None:
    server.script = [text("Red or blue?"), text("Blue it is.")]

    def work(ctx: Context) -> str:
        colour = ctx.ask(ctx.ai("Ask for a colour"))
        return ctx.ai(f"It is {colour}")

    first = chat.begin(work)
    second = chat.say("blue")

    assert (first.response, second.response) == ("Red or blue?", "Blue it is.")
    assert len(server.requests) == 2
    # Each turn has its own.
    assert (first.usage["requests"], second.usage["requests"]) == (1, 1)


def test_calls_are_counted(chat: Chat, server: OpenAIServer) -> None:
    server.script = [call("again")] * 5

    def again() -> str:
        """Go on."""
        return "again"

    job = chat.begin(lambda ctx: ctx.ai("Go", tools=[again]), max_ai_calls=2)

    assert (job.state, job.code, len(server.requests)) == (State.FAILED, "ai_budget", 2)
    assert job.usage["requests"] == 2


def test_nobody_else_counts_calls(chat: Chat, server: OpenAIServer) -> None:
    """pydantic-ai has a limit of its own, at fifty."""
    server.script = [*[call("again")] * 50, text("Done.")]

    def again() -> str:
        """Go on."""
        return "again"

    job = chat.begin(lambda ctx: ctx.ai("Go", tools=[again]), max_ai_calls=51)

    assert (job.response, job.usage["requests"]) == ("Done.", 51)


def test_an_atomic_step_asks_nobody(chat: Chat, server: OpenAIServer) -> None:
    """The response would be rolled back with it, and paid for again."""

    def work(ctx: Context) -> str:
        return ctx.step("Outer", lambda: ctx.step("Inner", ctx.ai, "Hello"), atomic=True)

    job = chat.begin(work)

    assert (job.code, server.requests) == ("workflow_failed", [])
    assert "An atomic step can't ask a model." in job.traceback


EMPTY = b'{"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": []}'


@pytest.mark.parametrize("work", [hello, shown])
@pytest.mark.parametrize(
    ("failing", "code", "requests"),
    [
        (error(500), "ai_unavailable", 3),
        (error(503), "ai_unavailable", 3),
        (error(429), "ai_rate_limited", 3),
        (error(400), "ai_rejected", 1),
        (error(401), "ai_rejected", 1),
        (error(403), "ai_rejected", 1),
        (garbage(), "ai_unavailable", 3),
        (garbage(b'{"wrong": "shape"}'), "ai_unavailable", 3),
        (garbage(b""), "ai_unavailable", 3),
        (garbage(EMPTY), "ai_unavailable", 3),
        (Answer(text="It is cut.", cut=2), "ai_unavailable", 3),
    ],
    ids=lambda value: str(getattr(value, "status", "")) if isinstance(value, Answer) else None,
)
def test_failures(
    chat: Chat, server: OpenAIServer, work: object, failing: Answer, code: str, requests: int
) -> None:
    server.script = [failing] * 3

    job = chat.begin(work)  # type: ignore[arg-type]

    assert (job.state, job.code) == (State.FAILED, code)
    assert len(server.requests) == requests
    assert "provider's own text" not in job.error
    assert streamed(job) == ""


@pytest.mark.parametrize("failing", [error(500), error(429, Retry_After="0"), garbage()])
def test_another_try_helps(chat: Chat, server: OpenAIServer, failing: Answer) -> None:
    server.script = [failing, text("Hello.")]

    assert chat.begin(hello).response == "Hello."
    assert len(server.requests) == 2


def test_a_cut_stream_starts_over(chat: Chat, server: OpenAIServer) -> None:
    server.script = [Answer(text="It is cut off.", cut=3), text("It is whole.")]

    job = chat.begin(shown)

    assert job.response == streamed(job) == "It is whole."
    assert [event.data["delta"] for event in events(job) if event.type == "delta"] != []


CHUNK = {"id": "c", "created": 1, "model": "gpt-4o-mini", "object": "chat.completion.chunk"}
HALF = frame(CHUNK | {"choices": [{"index": 0, "delta": {"content": "Half"}}]})


@pytest.mark.parametrize(
    "rest",
    ["", "data: [DONE]\n\n", "data: {oops\n\n", "data: 3\n\n", 'data: {"choices": "none"}\n\n'],
)
def test_a_stream_that_ends_without_the_answer_s_end(
    chat: Chat, server: OpenAIServer, rest: str
) -> None:
    """A gateway that loses its provider may end the stream in good order, or in garbage."""
    server.script = [garbage((HALF + rest).encode()), text("It is whole.")]
    server.script[0].headers["Content-Type"] = "text/event-stream"

    job = chat.begin(shown)

    assert job.response == streamed(job) == "It is whole."
    assert len(server.requests) == 2


def test_retry_after_is_honoured(
    chat: Chat, server: OpenAIServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr("chatflow.workflows.ai.recorded.asyncio.sleep", sleep)
    server.script = [error(429, Retry_After="7"), error(500), text("Hello.")]
    assert chat.begin(hello).response == "Hello."
    assert waits == [7.0, 0.0]

    # Nobody waits for an hour.
    server.script = [error(429, Retry_After="3600"), text("Never said.")]
    assert chat.begin(hello).code == "ai_rate_limited"


def test_the_fallback_answers(chat: Chat, server: OpenAIServer, settings: LazySettings) -> None:
    configure(settings, AI_FALLBACK_MODELS=["openai-chat:gpt-4o", "offline"])
    server.script = [error(401), text("I am the other one.")]

    job = chat.begin(hello)

    assert job.response == "I am the other one."
    assert [request["model"] for request in server.requests] == ["gpt-4o-mini", "gpt-4o"]
    assert job.usage["models"] == ["gpt-4o"]


def test_the_offline_model_may_be_the_last(
    chat: Chat, server: OpenAIServer, settings: LazySettings
) -> None:
    configure(settings, AI_FALLBACK_MODELS=["offline"])
    server.script = [error(401)]

    assert "I am Chatflow's offline model" in chat.begin(hello).response


def test_a_stalled_model_is_given_up(
    chat: Chat, server: OpenAIServer, settings: LazySettings
) -> None:
    configure(settings, AI_TIMEOUT=0.3)
    configure(settings, AI_FALLBACK_MODELS=["openai-chat:gpt-4o"])
    never = threading.Event()
    server.script = [Answer(text="Too late.", stall=never), text("In time.")]

    assert chat.begin(hello).response == "In time."
    never.set()


def test_a_silent_model_leaves_the_next_one_time(
    chat: Chat, server: OpenAIServer, settings: LazySettings
) -> None:
    configure(settings, AI_FALLBACK_MODELS=["openai-chat:gpt-4o"])
    never = threading.Event()
    server.script = [Answer(text="Too late.", stall=never), text("In time.")]

    assert chat.begin(hello, max_execution_time=2).response == "In time."
    never.set()


def test_what_the_offline_model_can_not_do_hides_no_failure(
    chat: Chat, server: OpenAIServer, settings: LazySettings
) -> None:
    configure(settings, AI_FALLBACK_MODELS=["offline"])
    server.script = [error(401)]

    assert chat.begin(order).code == "ai_rejected"


def test_the_deadline_binds_a_request(chat: Chat, server: OpenAIServer) -> None:
    never = threading.Event()
    server.script = [Answer(text="Too late.", stall=never)]

    job = chat.begin(hello, max_execution_time=0.5)

    assert (job.state, len(server.requests)) == (State.TIMEOUT, 1)
    never.set()


def test_the_provider_can_not_be_reached(chat: Chat, server: OpenAIServer) -> None:
    server.__exit__()

    assert chat.begin(hello).code == "ai_unavailable"


def test_no_key_is_logged(
    chat: Chat, server: OpenAIServer, caplog: pytest.LogCaptureFixture
) -> None:
    key = server.environment["OPENAI_API_KEY"]
    server.script = [error(401, f"Incorrect API key provided: {key}.")]

    job = chat.begin(hello)

    assert "Incorrect API key provided: ***." in job.traceback
    assert "Incorrect API key provided: ***." in caplog.text
    assert key not in job.traceback + caplog.text
    assert job.error == "The AI model refused the request."


def test_the_request_may_choose_the_model(chat: Chat, server: OpenAIServer) -> None:
    server.script = [text("Hello."), text("Hello again.")]

    chat.begin(hello)
    chat.say(workflow="w", options={"model": "openai-chat:gpt-4o"})

    assert [request["model"] for request in server.requests] == ["gpt-4o-mini", "gpt-4o"]


def test_a_model_without_its_key(
    chat: Chat, settings: LazySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    configure(settings, AI_MODEL="anthropic:claude-haiku-4-5")

    job = chat.begin(hello)

    assert (job.state, job.code) == (State.FAILED, "ai_unavailable")
    assert not Step.objects.exists()

    configure(settings, AI_FALLBACK_MODELS=["offline"])
    assert "I am Chatflow's offline model" in chat.begin(hello).response


# The ends of answers.


FALLBACK = "openai-chat:gpt-4o"


@pytest.mark.parametrize("work", [hello, shown])
def test_a_content_filter_is_a_refusal(chat: Chat, server: OpenAIServer, work: object) -> None:
    """Whatever words came before it."""
    server.script = [Answer(text="Half an answer", finish="content_filter")]

    job = chat.begin(work)  # type: ignore[arg-type]

    assert (job.state, job.code, streamed(job)) == (State.FAILED, "ai_rejected", "")
    assert job.error == "The AI model's content filter stopped the answer."
    assert len(server.requests) == 1
    assert not job.chat_messages.filter(role="assistant").exists()


@pytest.mark.parametrize("work", [hello, shown])
def test_an_answer_that_is_cut_off(chat: Chat, server: OpenAIServer, work: object) -> None:
    server.script = [Answer(text="Half an answer", finish="length"), text("A whole one.")]

    job = chat.begin(work)  # type: ignore[arg-type]

    assert (job.state, job.response) == (State.COMPLETED, "Half an answer")
    assert job.metadata == {"workflow": "w", "cut_off": True}
    assert events(job)[-1].data["metadata"] == job.metadata

    assert chat.say(workflow="w").metadata == {"workflow": "w"}


def test_a_cut_off_answer_is_marked_after_a_crash(chat: Chat, server: OpenAIServer) -> None:
    crashes = Crashes("after")
    server.script = [Answer(text="Half an answer", finish="length")]

    def work(ctx: Context) -> str:
        answer = ctx.ai("Hello")
        crashes.at("after")
        return answer

    assert resume(chat.begin(work)).metadata["cut_off"] is True


def chunk(content: str | None = None, finish: str | None = None) -> dict[str, object]:
    delta = {} if content is None else {"content": content}
    return CHUNK | {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


COUNTED = CHUNK | {"choices": [], "usage": {"prompt_tokens": 100, "completion_tokens": 20}}
DONE = "data: [DONE]\n\n"


@pytest.mark.parametrize(
    "answer",
    [
        stream(chunk("Hello", ""), chunk("", ""), COUNTED, DONE),
        stream(chunk("Hello"), COUNTED, DONE),
        stream(chunk("Hello"), chunk(finish="stop"), COUNTED),
        stream(
            chunk("Hello"), CHUNK | {"choices": [{"index": 0}]}, chunk("", "stop"), COUNTED, DONE
        ),
    ],
    ids=["empty", "null", "no DONE", "no delta"],
)
def test_a_complete_stream_is_an_end(chat: Chat, server: OpenAIServer, answer: Answer) -> None:
    server.script = [answer]

    job = chat.begin(shown)

    assert job.response == streamed(job) == "Hello"
    assert (job.usage["input_tokens"], job.usage["output_tokens"]) == (100, 20)


def test_usage_is_counted_once(chat: Chat, server: OpenAIServer) -> None:
    counted = {"usage": COUNTED["usage"]}
    server.script = [
        stream(chunk("Hel") | counted, chunk("lo") | counted, chunk("", "stop") | counted, COUNTED)
    ]

    job = chat.begin(shown)

    assert (job.usage["input_tokens"], job.usage["output_tokens"]) == (100, 20)


@pytest.mark.parametrize("work", [hello, shown])
def test_usage_that_nobody_tells_is_estimated(
    chat: Chat, server: OpenAIServer, work: object
) -> None:
    choice = {"index": 0, "message": {"role": "assistant", "content": "Hello"}}
    whole = CHUNK | {"choices": [choice | {"finish_reason": "stop"}]}
    server.script = [
        stream(chunk("Hello"), chunk(finish="stop"), DONE)
        if work is shown
        else garbage(json.dumps(whole).encode())
    ]

    usage = chat.begin(work).usage  # type: ignore[arg-type]

    assert usage["estimated"] is True
    assert (usage["input_tokens"] > 0, usage["output_tokens"]) == (True, 2)
    assert "cost_usd" not in usage


def test_plain_json_to_a_request_for_a_stream(chat: Chat, server: OpenAIServer) -> None:
    choice = {"index": 0, "message": {"role": "assistant", "content": "Hello"}}
    server.script = [garbage(json.dumps(CHUNK | {"choices": [choice]}).encode())]

    job = chat.begin(shown)

    assert job.response == streamed(job) == "Hello"


@pytest.mark.parametrize("work", [hello, shown])
def test_a_server_that_has_moved(chat: Chat, server: OpenAIServer, work: object) -> None:
    moved = Answer(
        status=307, body=b"", headers={"Location": f"{server.url}/moved/chat/completions"}
    )
    server.script = [moved, text("Hello.")]

    assert chat.begin(work).response == "Hello."  # type: ignore[arg-type]
    assert server.paths[-1] == "/v1/moved/chat/completions"
    assert server.requests[0] == server.requests[1]


# Reasoning.


@pytest.mark.parametrize("work", [hello, shown])
@pytest.mark.parametrize(
    "said",
    [
        "<think>A secret.</think>\n\nHello.",
        "A secret.</think>\n\nHello.",
        "<think>\nA secret</think>Hello.",
    ],
)
def test_reasoning_is_no_answer(chat: Chat, server: OpenAIServer, work: object, said: str) -> None:
    """In pieces of four characters, as the server sends it."""
    server.script = [text(said)]

    job = chat.begin(work)  # type: ignore[arg-type]

    assert job.response == "Hello."
    assert streamed(job) == ("Hello." if work is shown else "")


@pytest.mark.parametrize(
    "pieces",
    [
        ("<think>", "A secret", "</think>Hello", "."),
        ("<think>A secret", "</think>", "Hello."),
        ("A secret", "</think>", "Hello."),
        ("Hello<think>A secret</think>.",),
    ],
)
def test_reasoning_in_chunks(chat: Chat, server: OpenAIServer, pieces: tuple[str, ...]) -> None:
    server.script = [stream(*map(chunk, pieces), chunk(finish="stop"), COUNTED, DONE)]

    job = chat.begin(shown)

    assert job.response == streamed(job) == "Hello."


def test_the_halves_of_a_character(chat: Chat, server: OpenAIServer) -> None:
    server.script = [
        stream(chunk("Hello \ud83d"), chunk("\ude00."), chunk(finish="stop"), COUNTED, DONE)
    ]

    job = chat.begin(shown)

    assert job.response == streamed(job) == "Hello 😀."


WONDER = CHUNK | {"choices": [{"index": 0, "delta": {"reasoning_content": "I wonder."}}]}


@pytest.mark.parametrize(
    ("work", "said"),
    [
        (hello, text("<think>I wonder.</think>\n\nHello.")),
        (shown, text("I wonder.</think>\n\nHello.")),
        (shown, stream(WONDER, chunk("Hello."), chunk(finish="stop"), COUNTED, DONE)),
    ],
)
def test_reasoning_is_told_beside_the_answer(
    chat: Chat, server: OpenAIServer, work: object, said: Answer
) -> None:
    server.script = [said]

    job = chat.begin(work)  # type: ignore[arg-type]

    assert job.response == "Hello."
    assert job.metadata == {"workflow": "w", "reasoning": "I wonder."}


def test_much_reasoning_is_shortened(chat: Chat, server: OpenAIServer) -> None:
    server.script = [text(f"<think>{'x' * 9000}</think>Hello.")]

    told = chat.begin(hello).metadata["reasoning"]

    assert len(told) == reasoning.LENGTH
    assert told.endswith(" […]")


def test_reasoning_is_not_told_the_model(chat: Chat, server: OpenAIServer) -> None:
    """Not in the request with a tool's result either, nor as the summary's."""
    server.script = [
        Answer(text="<think>I wonder.</think>", calls=[("stock", {"product": "lamp"})]),
        text("Three."),
    ]

    def stock(product: str) -> int:
        return 3

    job = chat.begin(lambda ctx: ctx.ai("How many?", tools=[stock]))

    assert (job.response, job.metadata["reasoning"]) == ("Three.", "I wonder.")
    assert "I wonder" not in str(server.requests)


# Files.

IMAGE = File(b"\x89PNG" + bytes(1_000_000), "image/png")


def look_at(ctx: Context) -> str:
    before: ChatMessage = {"role": "user", "content": "This", "files": [IMAGE]}
    after: ChatMessage = {"role": "user", "content": "or this?", "files": [IMAGE]}
    return ctx.ai([before, {"role": "assistant", "content": "Yes?"}, after], offline=str.upper)


def test_an_image_reaches_the_model(
    chat: Chat, server: OpenAIServer, settings: LazySettings
) -> None:
    """It isn't recorded, and counts against the day's tokens as what providers make of it."""
    configure(settings, AI_DAILY_TOKENS=10_000)
    server.script = [text("That.")]

    assert chat.begin(look_at).response == "That."

    first, _, last = server.requests[0]["messages"]
    for message, words in ((first, "This"), (last, "or this?")):
        told, image = message["content"]
        assert told == {"type": "text", "text": words}
        assert image["image_url"]["url"].startswith("data:image/png;base64,iVBOR")
    assert len(str(Step.objects.get().result)) < 2000


def test_a_toolless_model_sees_it_too(chat: Chat, server: OpenAIServer) -> None:
    refusal = error(400, "gemma does not support tools")
    server.script = [refusal, text("That.")]
    seen: ChatMessage = {"role": "user", "content": "What is this?", "files": [IMAGE]}

    def look() -> str:
        return ""

    chat.begin(lambda ctx: ctx.ai([seen], tools=[look], toolless=lambda words: f"Of {words}"))

    told, image = server.requests[1]["messages"][-1]["content"]
    assert told["text"] == "Of What is this?\n\nWhat is this?"
    assert image["type"] == "image_url"


def test_the_offline_model_reads_the_words(chat: Chat) -> None:
    assert chat.begin(look_at).response == f"OR THIS?\n\n{UNSEEN}"


# Settings.


def test_settings(chat: Chat, server: OpenAIServer, settings: LazySettings) -> None:
    """The call's own come before the site's, and each reaches the provider."""
    configure(settings, AI_SETTINGS={"temperature": 0.2, "max_tokens": 500})
    server.script = [text("Hello."), text("Hello.")]

    def work(ctx: Context) -> str:
        ctx.ai("One")
        return ctx.ai("Two", settings={"max_tokens": 20, "extra_body": {"min_p": 0.1}}, show=True)

    chat.begin(work)

    one, two = server.requests
    assert (one["temperature"], one["max_completion_tokens"]) == (0.2, 500)
    assert (two["temperature"], two["max_completion_tokens"], two["min_p"]) == (0.2, 20, 0.1)


def test_how_hard_to_reason(chat: Chat, server: OpenAIServer, settings: LazySettings) -> None:
    configure(settings, AI_MODEL="openai-chat:gpt-5-mini")
    server.script = [text("Hello.")]

    chat.begin(lambda ctx: ctx.ai("Hello", settings={"thinking": "low"}))

    assert server.requests[0]["reasoning_effort"] == "low"


def test_a_setting_that_there_is_not(chat: Chat, server: OpenAIServer) -> None:
    job = chat.begin(lambda ctx: ctx.ai("Hello", settings={"temprature": 1}))  # type: ignore[call-overload]

    assert job.state == State.FAILED
    assert "ValueError: temprature: Extra inputs are not permitted." in job.traceback
    assert server.requests == []


# Answers that are none.


ONLY_REASONING = Answer(text="<think>I wonder", finish="length")


@pytest.mark.parametrize("work", [hello, shown])
@pytest.mark.parametrize(("answer", "requests"), [(ONLY_REASONING, 1), (text(""), 3)])
def test_an_empty_answer(
    chat: Chat, server: OpenAIServer, work: object, answer: Answer, requests: int
) -> None:
    server.script = [answer] * 3

    job = chat.begin(work)  # type: ignore[arg-type]

    assert (job.code, len(server.requests)) == ("ai_unusable", requests)
    assert "no usable answer" in job.error


def test_an_empty_answer_asks_the_next_model(
    chat: Chat, server: OpenAIServer, settings: LazySettings
) -> None:
    configure(settings, AI_FALLBACK_MODELS=[FALLBACK])
    server.script = [ONLY_REASONING, text("Hello.")]

    assert chat.begin(hello).response == "Hello."
    assert server.requests[-1]["model"] == "gpt-4o"


def garbled(*, times: int) -> list[Answer]:
    call = {"id": "c", "type": "function", "function": {"name": "final_result", "arguments": "{oo"}}
    choice = {"index": 0, "message": {"role": "assistant", "tool_calls": [call]}}
    whole = CHUNK | {"object": "chat.completion"}
    body = whole | {"choices": [choice | {"finish_reason": "tool_calls"}]}
    return [garbage(json.dumps(body).encode())] * times


def test_garbled_answers(chat: Chat, server: OpenAIServer) -> None:
    server.script = garbled(times=3)

    job = chat.begin(order)

    assert (job.code, len(server.requests)) == ("ai_unusable", 3)


def test_garbled_answers_ask_the_next_model(
    chat: Chat, server: OpenAIServer, settings: LazySettings
) -> None:
    """And the recorded ones come again, so that it is the same model after a crash."""
    configure(settings, AI_FALLBACK_MODELS=[FALLBACK])
    crashes = Crashes("after")
    server.script = [*garbled(times=3), output(product="lamp", count=3)]

    def work(ctx: Context) -> str:
        wanted = order(ctx)
        crashes.at("after")
        return wanted

    job = resume(chat.begin(work))

    assert job.response == "Order(product='lamp', count=3)"
    assert [each["model"] for each in server.requests] == ["gpt-4o-mini"] * 3 + ["gpt-4o"]


def test_an_account_that_is_used_up(chat: Chat, server: OpenAIServer) -> None:
    body = {"error": {"message": "You exceeded it.", "code": "insufficient_quota"}}
    server.script = [Answer(status=429, body=json.dumps(body).encode())]

    job = chat.begin(hello)

    assert (job.code, len(server.requests)) == ("ai_rate_limited", 1)
    assert "used up" in job.error
    assert "busy" not in job.error


# Less than all.


TOO_LONG = error(400, "This model's maximum context length is 8192 tokens.")


def remembering(ctx: Context) -> str:
    messages: list[ChatMessage] = []
    for number in range(4):
        messages.append({"role": "user", "content": f"question {number}"})
        messages.append({"role": "assistant", "content": f"answer {number}"})
    messages.append({"role": "user", "content": "And now?"})
    return ctx.ai(messages, instructions="Be short.")


def test_a_conversation_that_is_too_long(chat: Chat, server: OpenAIServer) -> None:
    server.script = [TOO_LONG, text("Now this.")]

    assert chat.begin(remembering).response == "Now this."
    said = [(each["role"], each["content"]) for each in server.requests[1]["messages"]]
    assert said[0] == ("system", "Be short.")
    assert said[1:] == [
        ("user", "question 2"),
        ("assistant", "answer 2"),
        ("user", "question 3"),
        ("assistant", "answer 3"),
        ("user", "And now?"),
    ]


@pytest.mark.parametrize(("work", "requests"), [(remembering, 2), (hello, 1)])
def test_it_is_shortened_once(
    chat: Chat, server: OpenAIServer, work: object, requests: int
) -> None:
    server.script = [TOO_LONG] * 3

    job = chat.begin(work)  # type: ignore[arg-type]

    assert (job.code, len(server.requests)) == ("ai_rejected", requests)
    assert "too long" in job.error


def test_the_last_request_of_a_loop_has_no_tools(chat: Chat, server: OpenAIServer) -> None:
    """What the tools brought isn't lost."""
    server.script = [call("look"), call("look"), text("Two lamps.")]

    def look() -> str:
        """Look."""
        return "a lamp"

    job = chat.begin(lambda ctx: ctx.ai("What is there?", tools=[look]), max_ai_calls=3)

    assert job.response == "Two lamps."
    assert ["tools" in each for each in server.requests] == [True, True, False]
    assert server.requests[-1]["messages"][-1]["content"] == "a lamp"


# Silence.


@pytest.mark.parametrize("begun", [0, 3])
def test_comments_are_no_data(
    chat: Chat, server: OpenAIServer, settings: LazySettings, begun: int
) -> None:
    configure(settings, AI_TIMEOUT=0.4)
    configure(settings, AI_FALLBACK_MODELS=[FALLBACK])
    never = threading.Event()
    server.script = [
        Answer(text="Too late.", comment=b": keep-alive\n\n", stall=never, stall_at=begun),
        text("In time."),
    ]

    job = chat.begin(shown)

    assert job.response == streamed(job) == "In time."
    never.set()


def test_the_last_model_that_shows_signs_of_life_is_waited_for(
    chat: Chat, server: OpenAIServer, settings: LazySettings
) -> None:
    configure(settings, AI_TIMEOUT=0.5)
    later = threading.Event()
    server.script = [Answer(text="At last.", comment=b": keep-alive\n\n", stall=later)]
    timer = threading.Timer(0.8, later.set)
    timer.start()

    assert chat.begin(shown).response == "At last."
    timer.join()


def test_but_not_for_ever(chat: Chat, server: OpenAIServer, settings: LazySettings) -> None:
    configure(settings, AI_TIMEOUT=0.2)
    never = threading.Event()
    server.script = [Answer(text="Never.", comment=b": keep-alive\n\n", stall=never)]

    job = chat.begin(shown)

    assert (job.code, len(server.requests)) == ("ai_unavailable", 1)
    assert "silent for 0.6 seconds" in job.traceback
    never.set()


async def test_the_time_to_show_words_is_no_silence() -> None:
    """A database may be away meanwhile, where some were withdrawn."""
    counted: list[float | None] = []

    async def show(words: str) -> None:
        counted.append(limit.when())

    async with asyncio.timeout(60) as limit:
        hearer = Hearer(show, lambda: True, limit, 30)
        hearer.get_words(PartStartEvent(index=0, part=TextPart("Once")))
        assert await hearer.hear(" upon")
        assert limit.when() is not None

    assert counted == [None]


# What the user saw of an answer that broke off.


def said(job: Job) -> list[str]:
    return [row.content for row in job.chat_messages.order_by("pk")]


def test_the_words_before_a_time_out_stay(chat: Chat, server: OpenAIServer) -> None:
    never = threading.Event()
    server.script = [Answer(text="Once upon a time", stall=never, stall_at=3)]

    job = chat.begin(shown, max_execution_time=2)

    assert (job.state, said(job)) == (State.TIMEOUT, ["go", "Once upo"])
    assert job.metadata == {"workflow": "w", "broken_off": True}
    never.set()


def test_the_words_before_a_cut_stay(chat: Chat, server: OpenAIServer) -> None:
    server.script = [Answer(text="Once upon a time", cut=3)] * 3

    job = chat.begin(shown)

    assert (job.state, job.code, said(job)) == (State.FAILED, "ai_unavailable", ["go", "Once upo"])
    assert job.error == "The AI model's answer broke off. Please try again."


def test_a_failure_without_words_leaves_none(chat: Chat, server: OpenAIServer) -> None:
    server.script = [error(400)]

    job = chat.begin(shown)

    assert (said(job), job.metadata) == (["go"], {"workflow": "w"})
