"""The model that workflows call: real ones in order, each response recorded before its use."""

import asyncio
import logging
from collections.abc import Coroutine, Sequence
from functools import partial
from typing import Any, Protocol, TypeVar, cast

from django.conf import settings
from django.db import DatabaseError
from pydantic import TypeAdapter
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
from pydantic_ai.models import Model, ModelRequestParameters, infer_model
from pydantic_ai.models.fallback import FallbackModel
from pydantic_ai.settings import ModelSettings

from workflows.ai import names, usage
from workflows.ai.asides import Aside
from workflows.ai.errors import Failure, ProviderError, classify
from workflows.ai.offline import OfflineModel, Rule
from workflows.exceptions import AIOffline, AIUnavailable, WorkflowError

logger = logging.getLogger(__name__)

T = TypeVar("T")

# Tries of one request to one model, and the seconds before the second and the third.
TRIES = 3
BACKOFF = (0.5, 2.0)
# Longer than this a provider's Retry-After isn't waited out: the next model, if any, is called.
LONGEST_WAIT = 20.0
# Seconds between two checks whether the job was stopped meanwhile.
CHECK_INTERVAL = 0.1

RESPONSE = TypeAdapter(ModelResponse)


class Journal(Protocol):
    """The workflow's side of a request; plain code, so that each call is an aside."""

    def begin(self) -> dict[str, Any] | None:
        """Begin the next request, or return its response from an earlier run."""

    def reserve(self, characters: int) -> None:
        """Reserve the tokens of a request of that length, once, in the user's daily budget."""

    def release(self) -> None:
        """Give back the tokens that were reserved for a request that no provider counts."""

    def record(self, response: dict[str, Any], usage: dict[str, Any]) -> None:
        """Record the response."""

    def show(self, text: str) -> None:
        """Show the next words of the response."""

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
    """

    def __init__(
        self, models: Sequence[Model], journal: Journal, aside: Aside, *, show: bool
    ) -> None:
        super().__init__(*models)
        self._journal = journal
        self._aside = aside
        self._show = show

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        recorded = await self._aside(self._journal.begin)
        if recorded is not None:
            return RESPONSE.validate_python(recorded)
        response = await self._request_in_order(messages, model_settings, model_request_parameters)
        record = partial(
            self._journal.record,
            RESPONSE.dump_python(response, mode="json"),
            usage.measure(response),
        )
        await self._aside(record, surely=True)
        return response

    async def _request_in_order(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        parameters: ModelRequestParameters,
    ) -> ModelResponse:
        failures: list[Failure] = []
        for place, model in enumerate(self.models):
            if not isinstance(model, OfflineModel):
                characters = len(ModelMessagesTypeAdapter.dump_json(messages))
                await self._aside(partial(self._journal.reserve, characters))
            for number in range(TRIES):
                # A model that is silent leaves those after it their share of the time.
                share = self._journal.seconds_left() / (len(self.models) - place)
                request = self._request_once(model, messages, model_settings, parameters, share)
                outcome = await self._wait_for(request)
                if isinstance(outcome, ModelResponse):
                    return outcome
                failures.append(outcome)
                logger.warning("%s: %s", model.model_id, outcome.details.splitlines()[0])
                if not await self._should_retry(outcome, number):
                    break
        if not any(each.counted for each in failures):
            await self._aside(self._journal.release)
        # The offline model's failure, that it can't help either, is not the cause.
        causes = [each for each in failures if not isinstance(each.error, AIOffline)] or failures
        raise causes[-1].error from ProviderError(causes[-1].details)

    async def _request_once(
        self,
        model: Model,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        parameters: ModelRequestParameters,
        seconds: float,
    ) -> ModelResponse | Failure:
        limits = ModelSettings(
            # The tries are counted here.
            max_retries=0,
            timeout=max(0.1, min(settings.AI_TIMEOUT, seconds)),
        )
        model_settings = cast(ModelSettings, {**(model_settings or {}), **limits})
        messages = model.prepare_messages(messages, parameters)
        try:
            if self._show:
                response = await self._request_streaming(
                    model, messages, model_settings, parameters
                )
            else:
                response = await model.request(messages, model_settings, parameters)
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
            problem = classify(error)
        else:
            if response.state == "complete":
                return response
            details = f"The answer is {response.state}."
            problem = Failure(AIUnavailable(), details, again=True, counted=True)
        await self._aside(self._journal.start_over)
        return problem

    async def _request_streaming(
        self,
        model: Model,
        messages: list[ModelMessage],
        model_settings: ModelSettings,
        parameters: ModelRequestParameters,
    ) -> ModelResponse:
        async with model.request_stream(messages, model_settings, parameters) as stream:
            async for event in stream:
                if text := _get_words(event):
                    await self._aside(partial(self._journal.show, text))
        response = stream.get()
        if not isinstance(model, OfflineModel) and not _was_ended_by_provider(response):
            raise UnexpectedModelBehavior("The stream ended before the answer did.")
        return response

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
        work = asyncio.ensure_future(coroutine)
        try:
            while not (await asyncio.wait({work}, timeout=CHECK_INTERVAL))[0]:
                await self._aside(self._journal.check)
            return await work
        finally:
            work.cancel()


def _get_words(event: ModelResponseStreamEvent) -> str:
    """Return the words of the response that *event* carries."""
    if isinstance(event, PartStartEvent) and isinstance(event.part, TextPart):
        return event.part.content
    if isinstance(event, PartDeltaEvent) and isinstance(event.delta, TextPartDelta):
        return event.delta.content_delta
    return ""


def _was_ended_by_provider(response: ModelResponse) -> bool:
    """Say whether the provider itself ended the response, and not a gateway that lost it."""
    # pydantic-ai takes a missing reason for "stop"; the provider's own stands in the details.
    reason = (response.provider_details or {}).get("finish_reason")
    return reason is not None or response.finish_reason not in (None, "stop")


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
            found.append(OfflineModel(rule) if each == names.OFFLINE else infer_model(each))
        except (UserError, ImportError, ValueError) as error:
            logger.error("The model %s can't be asked: %s", each, error)
    if not found:
        raise AIUnavailable
    return found
