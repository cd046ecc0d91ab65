"""The interface of a doorbell."""

import logging
import os
import select
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Self

from chatflow.workflows.exceptions import first_line
from chatflow.workflows.logs import Outage

logger = logging.getLogger(__name__)

# Called with the topic and the key that was rung, in the subscription's own thread; a key of None
# means that any key may have been rung.
OnRing = Callable[[str, int | None], None]

TOPICS = ("events", "jobs", "async_jobs", "due", "cancel", "sessions")
# A topic and a key.
Ring = tuple[str, int]

# Seconds to wait at most until a new listener hears. Without its server there is nothing to miss
# yet, and its thread goes on trying.
READY = 5.0


def readable(descriptors: Sequence[int], seconds: float | None = None) -> set[int]:
    """Wait until something can be read, and return from which descriptors it can.

    Args:
        descriptors: of files, pipes or sockets. Not by select(), which knows the first 1,024 only:
            a web process with thousands of streams opens higher ones.
        seconds: how long to wait; None for ever.
    """
    poll = select.poll()
    for descriptor in descriptors:
        poll.register(descriptor, select.POLLIN)
    found = poll.poll(None if seconds is None else max(0, seconds) * 1000)
    return {descriptor for descriptor, _ in found}


class Subscription(threading.Thread):
    """A supervised listener: its thread listens again, for ever, after whatever breaks."""

    # Seconds before listening again.
    BACK_OFF = 0.2

    def __init__(self, topics: tuple[str, ...], on_ring: OnRing) -> None:
        super().__init__(name="doorbell", daemon=True)
        self.topics = topics
        self.on_ring = on_ring
        # The thread waits on the read end; writing wakes it up to leave.
        self._leave, self._wake = os.pipe()
        self.closing = False
        # It hears.
        self.ready = threading.Event()
        self._outage = Outage()

    def run(self) -> None:
        while not self.closing:
            try:
                self.listen()
            except Exception as error:
                if not self.closing and self._outage.is_news():
                    logger.warning(
                        "The doorbell is out of order (%s); trying again.", first_line(error)
                    )
                time.sleep(self.BACK_OFF)
        os.close(self._leave)
        os.close(self._wake)

    def listen(self) -> None:
        """Listen until told to leave; raise when listening breaks.

        Once it hears, it calls ring_all(), since earlier rings went unheard, and sets ready.
        """
        raise NotImplementedError

    def ring_all(self) -> None:
        """Tell the listener to look at everything."""
        for topic in self.topics:
            self.on_ring(topic, None)

    def close(self, *, wait: bool = True) -> None:
        """End the thread.

        Args:
            wait: until it has ended, which may take as long as an attempt to connect does.
        """
        # In this order: the thread, once told to leave, closes the pipe.
        os.write(self._wake, b"x")
        self.closing = True
        if wait:
            self.join()


class Ear(ABC):
    """Hears a doorbell on the database connection of the thread that uses it.

    It needs no thread, no process and no connection of its own, but somebody who asks: hear(), when
    fileno() can be read.
    """

    @abstractmethod
    def listen(self) -> bool:
        """Listen from now on.

        Returns:
            Whether it did not listen before: then earlier rings went unheard.

        Raises:
            DatabaseError: the connection is lost, or there is none to be had.
        """

    @abstractmethod
    def unlisten(self) -> str | None:
        """Return the SQL with which it listens no more, and take it for done; None without need."""

    @abstractmethod
    def hear(self) -> list[str]:
        """Return the topics of the rings since it was asked last.

        Raises:
            DatabaseError: the connection is lost.
        """

    @abstractmethod
    def fileno(self) -> int:
        """Return the descriptor that can be read when there may be something to hear."""


class Bell(ABC):
    """One way to ring and to listen. Subclasses pass ``tests/workflows/bells/contract.py``."""

    @classmethod
    def from_settings(cls) -> Self:
        """Return the bell that Django's settings describe; it is made once in each process."""
        return cls()

    @abstractmethod
    def ring(self, topic: str, key: int) -> None:
        """Ring when the current transaction commits, and only then."""

    def ring_each(self, *rings: Ring) -> None:
        """Ring several times; see ring()."""
        for topic, key in rings:
            self.ring(topic, key)

    def statements(self, *rings: Ring) -> tuple[str | None, dict[str, str]]:
        """Return the SQL that rings, to be sent right behind a COMMIT, and its parameters.

        Args:
            rings: their topics and keys, as in ring(). The SQL depends on the topics alone.

        Returns:
            None and no parameters where no SQL rings.
        """
        return None, {}

    def expression(self, topic: str, key: str) -> str | None:
        """Return the SQL expression that rings at its statement's commit; None where none does.

        Args:
            topic: as in ring().
            key: the SQL expression of the key.
        """
        return None

    def ear(self, topics: tuple[str, ...]) -> Ear | None:
        """Return an ear for these topics, on a connection that is there anyway; None without one.

        Args:
            topics: which topics.
        """
        return None

    def listen(
        self, topics: tuple[str, ...], on_ring: OnRing, *, wait: bool = True
    ) -> Subscription:
        """Start to listen.

        Args:
            topics: which topics.
            on_ring: called in the subscription's thread; it must be quick and must not raise.
            wait: return once every later ring will be heard. Without, on_ring() is told to look at
                everything by then.
        """
        subscription = self.subscription(topics, on_ring)
        subscription.start()
        if wait:
            subscription.ready.wait(READY)
        return subscription

    @abstractmethod
    def subscription(self, topics: tuple[str, ...], on_ring: OnRing) -> Subscription:
        """Return a listener that is yet to be started. See listen()."""
