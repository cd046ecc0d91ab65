"""Errors of providers, reduced to what matters: whether to try again, and the job's error."""

import os
import re
from dataclasses import dataclass

from pydantic_ai.exceptions import (
    ContentFilterError,
    ModelAPIError,
    ModelConnectionError,
    ModelContextWindowExceededError,
    ModelHTTPError,
    ModelQuotaExceededError,
    ModelRateLimitError,
    ModelRequestRejectedError,
    ModelRequestTimeout,
    ModelTimeoutError,
    UserError,
)

from chatflow.workflows.exceptions import (
    AIFiltered,
    AIQuotaUsedUp,
    AIRateLimited,
    AIRejected,
    AITooLong,
    AIUnavailable,
    WorkflowError,
)

SECRET = re.compile(r"(API_?KEY|TOKEN|SECRET|PASSWORD)", re.IGNORECASE)
# How Ollama, OpenRouter, vLLM and llama.cpp, in this order, say that a model can't call tools.
NO_TOOLS = re.compile(
    r"not support (tools|tool use|function calling)|support tool use|tool choice requires"
    r"|tools param requires",
    re.IGNORECASE,
)
# How servers say that a model can't see images, nor take other files.
NO_FILES = re.compile(
    r"(image|vision|multi-?modal|file)[^.]{0,80}(not|n't|only)\b[^.]{0,20}support"
    r"|not support[^.]{0,40}(image|vision|multi-?modal|file)"
    r"|support (image|file) input|unknown variant .image_url",
    re.IGNORECASE,
)
# Where a connection failed before the request was sent.
NOT_SENT = ("pool", "connect")


class ProviderError(Exception):
    """A provider's own error, for the log and the admin; its text holds no key."""


@dataclass(frozen=True)
class Failure:
    """A request that failed.

    Args:
        error: the job's error, unless another try or another model succeeds.
        details: the provider's own error.
        again: the same request may well succeed a little later.
        wait: seconds that the provider wants to pass before that; None if it names none.
        counted: the provider may count the request all the same.
        refuses_tools: the model can't call any.
        refuses_files: the model can't take any.
    """

    error: WorkflowError
    details: str
    again: bool = False
    wait: float | None = None
    counted: bool = False
    refuses_tools: bool = False
    refuses_files: bool = False


def classify(error: Exception) -> Failure:
    """Return the failure of a request that raised *error*."""
    details = without_keys(f"{type(error).__name__}: {error}")
    wait = error.retry_after if isinstance(error, ModelAPIError) else None
    status = error.status_code if isinstance(error, ModelHTTPError) else 0
    # An answer that has begun is one that the provider counts.
    begun = isinstance(error, ModelAPIError) and error.in_stream
    if isinstance(error, ModelQuotaExceededError):
        return Failure(AIQuotaUsedUp(), details)
    if isinstance(error, ModelRateLimitError) or status == 429:
        return Failure(AIRateLimited(), details, again=True, wait=wait, counted=begun)
    if isinstance(error, ModelContextWindowExceededError):
        return Failure(AITooLong(), details)
    if isinstance(error, ModelHTTPError) and NO_TOOLS.search(details):
        return Failure(AIRejected(), details, refuses_tools=True)
    if isinstance(error, ModelHTTPError) and NO_FILES.search(details):
        return Failure(AIRejected(), details, refuses_files=True)
    if isinstance(error, ModelRequestRejectedError):
        return Failure(AIRejected(), details, counted=begun)
    if isinstance(error, ContentFilterError):
        return Failure(AIFiltered(), details, counted=True)
    if isinstance(error, ModelTimeoutError | ModelRequestTimeout):
        # It has waited long enough.
        return Failure(AIUnavailable(), details, counted=_was_sent(error))
    if isinstance(error, ModelConnectionError):
        return Failure(AIUnavailable(), details, again=True, wait=wait, counted=_was_sent(error))
    if status >= 500 or status == 408:
        return Failure(AIUnavailable(), details, again=True, wait=wait, counted=begun)
    if 400 <= status < 500:
        return Failure(AIRejected(), details, counted=begun)
    # Garbage, a stream that was cut short: the next response may be whole. Not so where the request
    # could not even be made.
    made = not isinstance(error, UserError)
    return Failure(AIUnavailable(), details, again=made, counted=made)


def _was_sent(error: Exception) -> bool:
    """Say whether the request was sent; where nobody knows, it was."""
    return not isinstance(error, ModelConnectionError) or error.phase not in NOT_SENT


def without_keys(text: str) -> str:
    """Return *text* without the secrets of this process's environment, should it quote one."""
    for name, value in os.environ.items():
        if SECRET.search(name) and len(value) >= 8:
            text = text.replace(value, "***")
    return text
