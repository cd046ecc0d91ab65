"""A conversation with create_invoice without the engine's rows, and what it may be about."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest
from django.db import transaction

from chatflow.workflows.dialogue import answers
from chatflow.workflows.running import step_results
from workflows.invoicing.models import Customer, Product
from workflows.invoicing.workflows import create_invoice

T = TypeVar("T")
Key = tuple[str, int]


class TurnEnded(BaseException):
    """What ends a turn in the engine is no Exception either."""


@dataclass
class Turn:
    """What one message led to; *choices* are the labels that were offered."""

    text: str
    kind: str | None = None
    choices: list[str] = field(default_factory=list)
    actions: list[dict[str, Any]] = field(default_factory=list)


class FakeContext:
    """The verbs of one turn. What earlier turns recorded is in *memo*, and *ahead* in order."""

    def __init__(self, user: Any, message: str, memo: dict[Key, Any], answer: str | None) -> None:
        self.user, self.message = user, message
        self.memo, self.answer = memo, answer
        self.ahead = list(memo)
        self.occurrences: dict[str, int] = {}
        self.turn: Turn | None = None
        self.steps: list[str] = []

    def step(
        self, name: str, function: Callable[..., T], *args: Any, atomic: bool = False, **kwargs: Any
    ) -> T:
        key = self._next(name)
        if key not in self.memo:
            assert not self.ahead, f"{key} came before {self.ahead}: not deterministic"
            self.steps.append(name)
            if atomic:
                with transaction.atomic():
                    value = function(*args, **kwargs)
            else:
                value = function(*args, **kwargs)
            self.memo[key] = step_results.dump(name, function, value)
        loaded: T = step_results.load(name, function, self.memo[key])
        return loaded

    def ai(self, prompt: str, *, offline: Callable[[str], T], **options: Any) -> T:
        return offline(prompt)

    def ask(self, prompt: str, *, optional: bool = False) -> str | None:
        def read(text: str) -> tuple[str | None]:
            return (None if optional and answers.is_skip(text) else text,)

        answer: str | None = self._question(prompt, read, Turn(prompt, "text"))
        return answer

    def choose(self, prompt: str, choices: list[tuple[str, str]]) -> Any:
        options = answers.as_choices(choices)

        def read(text: str) -> tuple[Any] | None:
            choice = answers.chosen(text, options)
            return (choice["value"],) if choice else None

        labels = [option["label"] for option in options]
        return self._question(prompt, read, Turn(prompt, "choice", labels))

    def confirm(self, prompt: str, *, or_text: bool = False) -> bool | str:
        def read(text: str) -> tuple[bool | str] | None:
            answer = answers.yes_or_no(text)
            return (text,) if answer is None and or_text else None if answer is None else (answer,)

        answer: bool | str = self._question(prompt, read, Turn(prompt, "confirm"))
        return answer

    def reply(self, text: str, actions: Any = (), sources: Any = ()) -> Turn:
        return Turn(text, actions=list(actions))

    def _next(self, name: str) -> Key:
        occurrence = self.occurrences[name] = self.occurrences.get(name, 0) + 1
        key = name, occurrence
        if key in self.memo:
            assert self.ahead.pop(0) == key, "not deterministic"
        return key

    def _question(self, prompt: str, read: Callable[[str], tuple[Any] | None], turn: Turn) -> Any:
        key = self._next(f"ask: {prompt}"[:200])
        if key in self.memo:
            return self.memo[key]
        assert not self.ahead, f"{key} came before {self.ahead}: not deterministic"
        value = read(self.answer) if self.answer is not None else None
        self.answer = None
        if value is None:
            self.turn = turn
            raise TurnEnded
        self.memo[key] = value[0]
        return value[0]


class Conversation:
    """Messages of one user; every one runs the workflow again from its first line."""

    def __init__(self, user: Any) -> None:
        self.user = user
        self.started: str | None = None
        self.memo: dict[Key, Any] = {}
        self.steps: list[str] = []

    def say(self, message: str) -> Turn:
        answer = None if self.started is None else message
        self.started = self.started if self.started is not None else message
        ctx = FakeContext(self.user, self.started, self.memo, answer)
        try:
            turn = create_invoice(ctx)
        except TurnEnded:
            turn = ctx.turn
        else:
            self.started, self.memo = None, {}
        self.steps += ctx.steps
        assert isinstance(turn, Turn)
        return turn

    def play(self, *messages: str) -> Turn:
        """Say all of *messages*; returns what the last one led to."""
        return [self.say(message) for message in messages][-1]


@pytest.fixture
def acme(alice: Any) -> Customer:
    return Customer.objects.create(owner=alice, name="Acme", email="office@acme.test")


@pytest.fixture
def laptop(alice: Any) -> Product:
    return Product.objects.create(owner=alice, name="Laptop", price="1200")


@pytest.fixture
def talk() -> type[Conversation]:
    return Conversation


@pytest.fixture
def chat(alice: Any) -> Conversation:
    return Conversation(alice)
