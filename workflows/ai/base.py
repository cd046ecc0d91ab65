"""What a model is."""

from abc import ABC, abstractmethod


class Model(ABC):
    """Something that answers a prompt in words."""

    @abstractmethod
    def answer(self, prompt: str) -> str:
        """Return the answer to *prompt*."""
