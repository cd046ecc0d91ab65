"""The model that workflows call: real ones in order, each response recorded before its use."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Protocol, TypeVar, cast

from django.db import DatabaseError
from pydantic_ai.exceptions import UnexpectedModelBehavior, UserError
from pydantic_ai.messages import (
    ModelMessage,
    ModelMessagesTypeAdapter,
    ModelResponse,
    ModelResponseStreamEvent,
    PartDeltaEvent,
    PartStartEvent,
    TextPart,
    TextPartDelta,
)
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.models.fallback import FallbackModel
from pydantic_ai.settings import ModelSettings

from chatflow.conf import conf
from chatflow.workflows.ai import names, observed, sight, toolless, usage
from chatflow.workflows.ai.answers import find_fault, without_reasoning
from chatflow.workflows.ai.asides import Aside, may_await
from chatflow.workflows.ai.connections import get_connections
from chatflow.workflows.ai.errors import Failure, ProviderError, classify
from chatflow.workflows.ai.offline import OfflineModel, Rule
from chatflow.workflows.ai.requests import (
    Request,
    drop_files,
    drop_tools,
    put_in_words,
    read_words,
    shorten,
)
from chatflow.workflows.ai.short_cut import heard_by
from chatflow.workflows.ai.words import Words
from chatflow.workflows.exceptions import (
    AIBrokeOff,
    AIOffline,
    AIRejected,
    AITooLong,
    AIUnavailable,
    WorkflowError,
    first_line,
)

logger = logging.getLogger(__name__)

T = TypeVar("T")

# Tries of one request to one model, and the seconds before the second and the third.
TRIES = 3
BACKOFF = (0.5, 2.0)
# Longer than this a provider's Retry-After isn't waited out: the next model, if any, is called.
LONGEST_WAIT = 20.0
# Where no other model is left to call, one that shows signs of life may be silent for so many times
# the usual.
PATIENCE = 3
# Seconds between two checks whether the job was stopped meanwhile.
CHECK_INTERVAL = 0.1

# In the metadata of a response: the place of its model among those to call.
PLACE = "place"


class Journal(Protocol):
    """The workflow's side of a request: plain code, called as an aside, but for choose()."""

    def begin(self) -> dict[str, Any] | None:
        """Begin the next request, or return its response from an earlier run."""

    def is_last(self) -> bool:
        """Say whether the job may make no request after the one that was begun."""

    def reserve(self, characters: int) -> None:
        """Reserve one try of a request of that length in the user's daily budget."""

    def release(self) -> None:
        """Give back the reservation for a try that no provider counts."""

    def look_up(self, words: str) -> str:
        """Return the text for a model that can't call tools, beside the user's latest words."""

    async def choose(self) -> None:
        """Choose among the workflows that were offered, for a model that can't call tools."""

    def record(self, response: dict[str, Any], usage: dict[str, Any]) -> None:
        """Record the response."""

    def show(self, text: str) -> None:
        """Show the next words of the response."""

    def shows_at_once(self) -> bool:
        """Say whether show() waits for nothing now."""

    def start_over(self) -> None:
        """Take back the words of a response that broke off."""

    def check(self) -> None:
        """Raise the job's interruption, if there was one."""

    def seconds_left(self) -> float:
        """Return how long the job may still run."""


class RecordedModel(FallbackModel):
    """Calls several models in order until one responds; a recorded response isn't requested again.

    It is a FallbackModel so that pydantic-ai lets each model shape its requests in its own way.

    Args:
        models: in the order of calling.
        journal: where the responses are recorded.
        aside: calls the journal.
        show: stream the words to the user.

    Attributes:
        latest: the latest response.
    """

    def __init__(
        self, models: Sequence[Model], journal: Journal, aside: Aside, *, show: bool
    ) -> None:
        super().__init__(*models)
        self.latest: ModelResponse | None = None
        self._journal = journal
        self._aside = aside
        self._show = show
        self._words = Words()
        self._observation = observed.NOBODY
        # What toolless models are told, once it was looked up; the memory was too long for one.
        self._told: str | None = None
        self._is_shortened = False

    @property
    def place(self) -> int:
        """The place of the model that gave the latest response; also where that was recorded."""
        metadata = self.latest.metadata if self.latest else None
        return int((metadata or {}).get(PLACE, 0))

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        recorded = await self._aside(self._journal.begin)
        if recorded is not None:
            self.latest = _load(recorded)
            return self.latest
        request = Request(messages, model_settings, model_request_parameters)
        if request.brings_results and await self._aside(self._journal.is_last, quick=True):
            # With another call of a tool all that the others brought would be lost.
            request = drop_tools(request)
        self.latest = response = await self._request_in_order(request)
        asked = request.describe()
        record = partial(
            self._journal.record,
            # Whoever reads a response again passes over what it doesn't know.
            {**_dump(response), names.PROMPTED: asked},
            usage.measure(response, asked["characters"]),
        )
        await self._aside(record, surely=True)
        return response

    async def _request_in_order(self, request: Request) -> ModelResponse:
        failures: list[Failure] = []
        for place, model in enumerate(self.models):
            outcome = await self._request_as_it_can(model, request, left=len(self.models) - place)
            if isinstance(outcome, ModelResponse):
                return replace(outcome, metadata={**(outcome.metadata or {}), PLACE: place})
            failures.append(outcome)
        # The offline model's failure, that it can't help either, is not the cause.
        causes = [each for each in failures if not isinstance(each.error, AIOffline)] or failures
        raise causes[-1].error from ProviderError(causes[-1].details)

    async def _request_as_it_can(
        self, model: Model, request: Request, *, left: int
    ) -> ModelResponse | Failure:
        """Make a request to one model; again with less where it finds it too much."""
        if self._is_shortened:
            request = shorten(request) or request
        outcome = await self._request_with_files_or_not(model, request, left)
        if not isinstance(outcome, Failure) or not isinstance(outcome.error, AITooLong):
            return outcome
        shorter = None if self._is_shortened else shorten(request)
        if shorter is None:
            return outcome
        logger.warning("%s is asked again, with half of the conversation.", model.model_id)
        self._is_shortened = True
        return await self._request_with_files_or_not(model, shorter, left)

    async def _request_with_files_or_not(
        self, model: Model, request: Request, left: int
    ) -> ModelResponse | Failure:
        """Make a request to one model; without images and files where it takes none."""
        if not request.has_files:
            return await self._request_in_words_or_not(model, request, left)
        if sight.sees(model):
            outcome = await self._request_in_words_or_not(model, request, left)
            if not isinstance(outcome, Failure) or type(outcome.error) is not AIRejected:
                return outcome
            if outcome.refuses_files:
                sight.remember(model.model_id, outcome)
        # The offline model reads the user's own words only.
        told = "" if isinstance(model, OfflineModel) else sight.BLIND
        outcome = await self._request_in_words_or_not(model, drop_files(request, told), left)
        if isinstance(outcome, Failure) or not request.asks_of_files:
            return outcome
        return await self._say_unseen(outcome)

    async def _say_unseen(self, response: ModelResponse) -> ModelResponse:
        """Let an answer in words say that it was given without the files."""
        *others, last = response.parts
        if not isinstance(last, TextPart):
            return response
        text = f"\n\n{sight.UNSEEN}"
        if self._show:
            await self._aside(partial(self._journal.show, text))
        return replace(response, parts=[*others, replace(last, content=last.content + text)])

    async def _request_in_words_or_not(
        self, model: Model, request: Request, left: int
    ) -> ModelResponse | Failure:
        if not request.has_tools:
            return await self._request_until(model, request, left)
        if not toolless.is_toolless(model.model_id):
            outcome = await self._request_until(model, request, left)
            if not isinstance(outcome, Failure) or not outcome.refuses_tools:
                return outcome
            toolless.remember(model.model_id, outcome)
        if request.has_routes:
            await self._journal.choose()
        if self._told is None and request.parameters.function_tools:
            self._told = await self._look_up(request.prompt)
        worded = put_in_words(request, self._told or "")
        outcome = await self._request_until(model, worded, left)
        if isinstance(outcome, ModelResponse):
            return read_words(outcome, request)
        return outcome

    async def _look_up(self, words: str) -> str:
        found: str = await self._aside(partial(self._journal.look_up, words), own=True)
        return found

    async def _request_until(
        self, model: Model, request: Request, left: int
    ) -> ModelResponse | Failure:
        """Make a request to one model, some times if need be.

        Args:
            model: the model to call.
            request: for it.
            left: how many models there are to call, with this one.
        """
        for number in range(TRIES):
            if not isinstance(model, OfflineModel):
                await self._aside(partial(self._journal.reserve, request.length))
            with observed.request(model) as observation:
                self._observation = observation
                outcome = await self._wait_for(self._request_once(model, request, left))
                observation.end(outcome, request.length)
            if isinstance(outcome, ModelResponse):
                return outcome
            logger.warning("%s: %s", model.model_id, outcome.details.splitlines()[0])
            if not outcome.counted:
                await self._aside(self._journal.release)
            if not await self._should_retry(outcome, number):
                break
        return outcome

    async def _request_once(
        self, model: Model, request: Request, left: int
    ) -> ModelResponse | Failure:
        silence = conf.AI_TIMEOUT
        if left > 1:
            # A model that is silent leaves those after it their share of the time.
            silence = max(0.1, min(silence, self._journal.seconds_left() / left))
        # The tries are counted by the caller.
        limits = ModelSettings(max_retries=0, timeout=silence)
        if left == 1:
            silence *= PATIENCE
        request = replace(
            request,
            settings=cast(ModelSettings, {**(request.settings or {}), **limits}),
            messages=model.prepare_messages(request.messages, request.parameters),
        )
        self._words = Words()
        problem: Failure | None
        try:
            response = await self._receive(model, request, silence)
        except AIOffline as error:
            problem = Failure(error, str(error))
        except (WorkflowError, DatabaseError):
            # An aside raised it: no fault of the provider.
            raise
        except Exception as error:
            if isinstance(model, OfflineModel):
                # The rule raised it.
                raise
            # Providers' libraries trip over garbage with errors of all kinds.
            problem = self._explain(error, silence)
        else:
            response = without_reasoning(response)
            problem = None if isinstance(model, OfflineModel) else find_fault(response)
        if problem is None:
            return response
        await self._aside(self._journal.start_over)
        return self._keep_words(problem)

    def _explain(self, error: Exception, silence: float) -> Failure:
        if isinstance(error, TimeoutError):
            text = f"It was silent for {silence:g} seconds."
            return Failure(AIUnavailable(), text, counted=True)
        return classify(error)

    def _keep_words(self, problem: Failure) -> Failure:
        """Let the job's error bring the words that the user saw before an answer broke off."""
        if not self._words.text or type(problem.error) is not AIUnavailable:
            return problem
        return replace(problem, error=AIBrokeOff(self._words.text))

    async def _receive(self, model: Model, request: Request, silence: float) -> ModelResponse:
        """Make a request and return its response, however long that takes while data comes.

        Raises:
            TimeoutError: nothing has come for *silence* seconds. Comments are nothing: proxies keep
                a connection alive with them whether the model works or not.
        """
        arguments = (request.messages, request.settings, request.parameters)
        is_offline = isinstance(model, OfflineModel)
        async with asyncio.timeout(None if is_offline else silence) as limit:
            if not self._show:
                return await model.request(*arguments)
            hearer = Hearer(self._show_words, self._journal.shows_at_once, limit, silence)
            with heard_by(hearer.hear):
                async with model.request_stream(*arguments) as stream:
                    async for event in stream:
                        limit.reschedule(None)
                        await self._show_words(hearer.get_words(event))
                        if not is_offline:
                            limit.reschedule(asyncio.get_running_loop().time() + silence)
            limit.reschedule(None)
            await self._show_words(None)
        response = stream.get()
        if not is_offline and not _was_ended_by_provider(response):
            raise UnexpectedModelBehavior("The stream ended before the answer did.")
        return response

    async def _show_words(self, piece: str | None) -> None:
        """Show the next words of a response; None at its end."""
        withdrawn = self._words.withdrawn
        words = self._words.close() if piece is None else self._words.take(piece)
        if self._words.withdrawn > withdrawn:
            await self._aside(self._journal.start_over)
        if words:
            self._observation.show()
            quick = self._journal.shows_at_once()
            await self._aside(partial(self._journal.show, words), quick=quick)

    async def _should_retry(self, problem: Failure, number: int) -> bool:
        """Say whether the same model is to be asked again, after the wait that it takes."""
        if not problem.again or number + 1 >= TRIES:
            return False
        wait = BACKOFF[number] if problem.wait is None else problem.wait
        if wait > min(LONGEST_WAIT, self._journal.seconds_left()):
            return False
        await self._wait_for(asyncio.sleep(wait))
        return True

    async def _wait_for(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Await *coroutine*, but no longer than the job runs."""
        if may_await(self._aside):
            # The workflow is a coroutine itself: its interruption cancels this one as well.
            return await coroutine
        work = asyncio.ensure_future(coroutine)
        try:
            while not (await asyncio.wait({work}, timeout=CHECK_INTERVAL))[0]:
                await self._aside(self._journal.check, quick=True)
            return await work
        finally:
            work.cancel()


class Hearer:
    """Hears the words of one answer, by pydantic-ai or past it. See short_cut.

    Args:
        show: shows them.
        shows_at_once: says whether that waits for nothing now.
        limit: of the model's silence.
        silence: how long that may last, in seconds.
    """

    def __init__(
        self,
        show: Callable[[str], Awaitable[None]],
        shows_at_once: Callable[[], bool],
        limit: asyncio.Timeout,
        silence: float,
    ) -> None:
        self._show = show
        self._shows_at_once = shows_at_once
        self._limit = limit
        self._silence = silence
        # The response's last part is one of words: what follows is added to it as it is.
        self._is_among_words = False
        # How many characters were heard that pydantic-ai hasn't told yet.
        self._ahead = 0

    async def hear(self, words: str) -> bool:
        """Hear words of which pydantic-ai is told later; say whether they were heard."""
        if not (self._is_among_words and self._shows_at_once()):
            return False
        self._ahead += len(words)
        # However long it takes to show them, that isn't the model's silence.
        self._limit.reschedule(None)
        await self._show(words)
        self._limit.reschedule(asyncio.get_running_loop().time() + self._silence)
        return True

    def get_words(self, event: ModelResponseStreamEvent) -> str:
        """Return the words that *event* carries, and that weren't heard yet."""
        words = ""
        if isinstance(event, PartStartEvent):
            self._is_among_words = isinstance(event.part, TextPart)
            words = event.part.content if isinstance(event.part, TextPart) else ""
        elif isinstance(event, PartDeltaEvent):
            self._is_among_words = isinstance(event.delta, TextPartDelta)
            words = event.delta.content_delta if isinstance(event.delta, TextPartDelta) else ""
        new = words[self._ahead :]
        self._ahead = max(0, self._ahead - len(words))
        return new


def _was_ended_by_provider(response: ModelResponse) -> bool:
    """Say whether the provider itself ended the response, and not a gateway that lost it."""
    # pydantic-ai takes a missing reason for "stop"; the provider's own stands in the details.
    reason = (response.provider_details or {}).get("finish_reason")
    return reason is not None or response.finish_reason not in (None, "stop")


# An adapter for responses alone would take twenty milliseconds of each worker's start to make.
def _load(recorded: dict[str, Any]) -> ModelResponse:
    [response] = ModelMessagesTypeAdapter.validate_python([recorded])
    return cast(ModelResponse, response)


def _dump(response: ModelResponse) -> dict[str, Any]:
    [dumped] = ModelMessagesTypeAdapter.dump_python([response], mode="json")
    return cast(dict[str, Any], dumped)


def find_models(name: str, rule: Rule | None) -> list[Model]:
    """Return the models to call, in order.

    Args:
        name: the one to call first; empty for ``AI_MODEL``.
        rule: the offline model's rule.

    Raises:
        AIUnavailable: none of them is configured; the log names the missing settings.
    """
    found: list[Model] = []
    for each in names.to_try(name):
        try:
            model = get_connections().get_model(each) if each != names.OFFLINE else None
            found.append(model or OfflineModel(rule))
        except (UserError, ImportError, ValueError) as error:
            logger.error("The model %s can't be asked: %s", each, first_line(error))
    if not found:
        raise AIUnavailable
    return found
