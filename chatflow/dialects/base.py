"""The interface of a dialect: all that the stream and the answers know of it."""

from abc import ABC, abstractmethod

from workflows.models import Event, Job


class Dialect(ABC):
    """Encodes one job's log for one client, event by event.

    An encoder is pure: the same log gives the same frames, and the frames of an event never change
    because of later ones. A client that comes back is served by a new one, from the event after its
    cursor: the encoder has not seen those before it. It queries nothing, and one is kept for each
    open stream, so it should be small. The inherited test, tests/chatflow/dialects/contract.py,
    says what each dialect owes its clients.

    A frame is a whole block of Server-Sent Events, as chatflow.sse makes it: bytes that go to the
    client as they are. A stream that breaks off has simply no more of them, so only the frame of
    the terminal event may tell a client that the job has ended.

    Args:
        job: the job; its public id is all that is kept.
    """

    __slots__ = ("job_id",)

    def __init__(self, job: Job) -> None:
        self.job_id = job.public_id

    @staticmethod
    @abstractmethod
    def status(state: str) -> str:
        """Return the dialect's word for a job's state, or for the type of an event."""

    @abstractmethod
    def connected(self, job: Job) -> bytes:
        """Return the frame that opens a stream. It stands for no event, and has no cursor.

        Args:
            job: as it is when the stream opens.
        """

    def waiting(self, position: int, progress: int) -> bytes:
        """Return what tells a client its job's place in the queue; nothing in most dialects.

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
