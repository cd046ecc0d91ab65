"""The built-in model, for running without any: deterministic, and honest about what it is."""

from workflows.ai.base import Model
from workflows.registry import all_workflows


class OfflineModel(Model):
    """Says that it is no language model, and which workflows there are."""

    def answer(self, prompt: str) -> str:
        offers = "\n".join(
            f"- {workflow.title}: say “{workflow.triggers[0]}”"
            for workflow in all_workflows()
            if workflow.triggers
        )
        return (
            "I am Chatflow's offline model: no language model is connected, so I can't hold a free "
            f"conversation. What I can do is run workflows. Try one of these:\n{offers}"
        )
