"""The models that can't call tools, as far as this process has found out."""

import logging

from chatflow.workflows.ai.errors import Failure

logger = logging.getLogger(__name__)

_found: set[str] = set()


def is_toolless(model_id: str) -> bool:
    """Say whether the model has refused tools before."""
    return model_id in _found


def remember(model_id: str, failure: Failure) -> None:
    """Remember that the model has refused tools, until this process ends."""
    _found.add(model_id)
    logger.warning(
        "%s can't call tools, so it is asked without them from now on (%s).",
        model_id,
        failure.details.splitlines()[0],
    )
