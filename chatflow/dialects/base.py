"""The interface of a dialect: all that the streams and the answers know of it."""

from abc import ABC, abstractmethod
from collections.abc import Hashable
from typing import Any, ClassVar

from chatflow.wire.problems import Problem
from chatflow.workflows.models import Event, Job

# Last of an event's frames: the stream breaks off behind it, and its client comes back.
BREAK = b": break\n\n"
# Last of an event's frames: the stream ends behind it, though the job may go on.
CLOSE = b": close\n\n"


class Dialect(ABC):
    """Encodes one job's log, event by event.

    An encoder is pure: the same log gives the same frames, and the frames of an event never change
    because of later ones. It queries nothing. The inherited test,
    tests/chatflow/dialects/contract.py, says what each dialect owes its clients.

    A frame is a whole block of Server-Sent Events, as wire/sse.py makes it: bytes that go to the
    client as they are. A stream that breaks off has simply no more of them, so only a frame of the
    terminal event may tell a client that the job has ended, or one in front of CLOSE.

    Args:
        job: the job; no more of it is kept than the frames need.
    """

    __slots__ = ("job_id",)

    # As in the registry.
    name: ClassVar[str]
    # The modules whose urlpatterns it is served by, and how their paths begin, below the place of
    # protocols.py: what is refused there is refused in its own form. The seed's are in api.py.
    endpoints: ClassVar[tuple[str, ...]] = ()
    paths: ClassVar[tuple[str, ...]] = ()
    # Its frames depend on the events before them: a client that comes back is served by an encoder
    # that has been given those. Where they don't, by a new one, from the event after its cursor.
    keeps_state: ClassVar[bool] = True
    # It tells a client its job's place in the queue.
    tells_places: ClassVar[bool] = False

    def __init__(self, job: Job) -> None:
        self.job_id = job.public_id

    @property
    def variant(self) -> Hashable:
        """What else the frames depend on, beside the log: clients that differ in it share none."""
        return None

    @staticmethod
    def status(state: str) -> str:
        """Return the dialect's word for a job's state, or for the type of an event."""
        return state

    @staticmethod
    def refusal(found: Problem) -> dict[str, Any]:
        """Return the body of an error."""
        return dict(found.body)

    def connected(self, job: Job) -> bytes:
        """Return what opens a stream, if anything. It stands for no event, and has no cursor.

        Args:
            job: as it is when the stream opens.
        """
        return b""

    def waiting(self, position: int, progress: int) -> bytes:
        """Return what tells a client its job's place in the queue, where the dialect tells it.

        It stands for no event, and has no cursor.

        Args:
            position: from 1.
            progress: percent, of an attempt before.
        """
        return b""

    @abstractmethod
    def frames(self, event: Event) -> list[bytes]:
        """Return the frames of *event*: one, several, or none if this dialect has no word for it.

        Args:
            event: the next of the log; each is handed over once, in order.
        """
