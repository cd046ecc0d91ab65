"""The models that can't see images, nor take other files, as far as this process has found out."""

import logging

from pydantic_ai.models import Model

from chatflow.workflows.ai.errors import Failure
from chatflow.workflows.ai.offline import OfflineModel

logger = logging.getLogger(__name__)

# What the user is told beside the answer of such a model.
UNSEEN = "(This model can't look at images or files, so it answered without them.)"
# And the model, in the place of each of them.
BLIND = "[Here is an image or a file that you can't see. Say nothing about what is in it.]"

_found: set[str] = set()


def sees(model: Model) -> bool:
    """Say whether the model may take images: its profile doesn't deny it, and it never refused."""
    if isinstance(model, OfflineModel) or model.model_id in _found:
        return False
    return bool(model.profile.get("supports_image_input", True))


def remember(model_id: str, failure: Failure) -> None:
    """Remember that the model has refused images, until this process ends."""
    _found.add(model_id)
    logger.warning(
        "%s can't see images, so it is asked without them from now on (%s).",
        model_id,
        failure.details.splitlines()[0],
    )
