"""A job's log in one dialect: encoded once, for all who listen to it in this process."""

from collections.abc import Hashable
from copy import copy, deepcopy
from typing import Self
from weakref import WeakValueDictionary

from chatflow.dialects.base import CLOSE, Dialect
from chatflow.wire.addresses import placed
from chatflow.workflows.models import Event

# Events whose frames are kept for those listeners who are a little behind another.
KEPT = 200


class Missed(Exception):
    """The frames of an event are gone: who still wants them encodes the log anew."""


class Encoding:
    """Gives out the frames of a job's events, in order.

    Listeners who stand at the same event share one, and each event is encoded for the first of
    them. One that has a single listener keeps no frames.

    Args:
        dialect: an encoder that has been given no event.
        prefix: of the client's paths, for the links of this site.

    Attributes:
        seq: the last event that was encoded.
        ended: nothing follows its frames.
    """

    __slots__ = ("__weakref__", "_fresh", "_kept", "dialect", "ended", "prefix", "seq")

    def __init__(self, dialect: Dialect, prefix: str = "") -> None:
        self.dialect = dialect
        self._fresh = deepcopy(dialect) if dialect.keeps_state else dialect
        self.prefix = prefix
        self.seq = 0
        self.ended = False
        self._kept: dict[int, list[bytes]] | None = None

    def anew(self) -> Self:
        """Return one that has encoded nothing yet."""
        return type(self)(deepcopy(self._fresh), self.prefix)

    def shared(self) -> "Encoding":
        """Return the one that others listen to, if it is as far as this one; else this one."""
        dialect = self.dialect
        key = type(dialect), dialect.job_id, dialect.variant, self.prefix
        other = _shared.setdefault(key, self)
        if other is self:
            return self
        if other.seq == self.seq or not dialect.keeps_state:
            other._kept = other._kept or {}
            return other
        if other.seq < self.seq:
            _shared[key] = self
        return self

    def frames(self, event: Event) -> list[bytes]:
        """Return the frames of *event*: the next one, or one that another listener just had.

        Raises:
            Missed: the others are too far ahead.
        """
        if event.seq > self.seq:
            frames = self.dialect.frames(self._placed(event))
            self.seq = event.seq
            self.ended = event.is_terminal or frames[-1:] == [CLOSE]
            if self._kept is not None:
                self._kept[event.seq] = frames
                self._kept.pop(event.seq - KEPT, None)
            return frames
        kept = self._kept.get(event.seq) if self._kept else None
        if kept is not None:
            return kept
        if self.dialect.keeps_state:
            raise Missed
        return self.dialect.frames(self._placed(event))

    def forget(self) -> None:
        """Drop the frames that are kept: nothing has happened for a while."""
        if self._kept:
            self._kept = {}

    def _placed(self, event: Event) -> Event:
        """Return the event with the prefix in its links; other streams read the same object."""
        cited = {name: event.data[name] for name in ("actions", "sources") if name in event.data}
        if not (self.prefix and cited):
            return event
        own = copy(event)
        own.data = event.data | {name: placed(each, self.prefix) for name, each in cited.items()}
        return own


_shared: WeakValueDictionary[Hashable, Encoding] = WeakValueDictionary()
