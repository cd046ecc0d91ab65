"""What is leaned on inside of django-eventstream.

Each test names one thing. When an upgrade fails one, look at who leans on it (the docstring says),
adapt that, and then the pin.
"""

import inspect
from importlib.metadata import version
from pathlib import Path
from typing import Any

from django_eventstream.storage import StorageBase
from django_eventstream.utils import get_storage
from django_eventstream.views import ListenerManager

from chatflow.workflows.streaming.storage import EventRows


def parameters(function: Any) -> list[str]:
    return list(inspect.signature(function).parameters)


def test_version() -> None:
    """The facts below were read in this one."""
    assert version("django-eventstream") == "5.3.4"
    requirements = Path(__file__).parents[3] / "requirements.txt"
    assert "django-eventstream==5.3.4" in requirements.read_text()


# The listener manager. chatflow.workflows.streaming.listeners.Listeners is one.


def test_listener_manager() -> None:
    assert parameters(ListenerManager.__init__) == ["self"]
    assert parameters(ListenerManager.add_listener) == ["self", "listener"]
    assert parameters(ListenerManager.remove_listener) == ["self", "listener"]
    manager = ListenerManager()
    assert manager.listeners_by_channel == {}
    with manager.lock:
        pass


def test_listeners_by_channel() -> None:
    """Sets of listeners; a channel without any is gone. No more is asked of a listener.

    chatflow.workflows.streaming.followers.Follower is one, and no django_eventstream.Listener.
    """

    class Listener:
        channels = ("a", "b")

    manager, listener = ListenerManager(), Listener()
    manager.add_listener(listener)
    assert manager.listeners_by_channel == {"a": {listener}, "b": {listener}}
    manager.remove_listener(listener)

    assert manager.listeners_by_channel == {}


# The storage. chatflow.workflows.streaming.storage.EventRows is one, which only reads.


def test_storage() -> None:
    assert parameters(StorageBase.get_events) == ["self", "channel", "last_id", "limit"]
    assert parameters(EventRows.get_events) == parameters(StorageBase.get_events)


def test_the_library_itself_has_no_storage() -> None:
    """Its own views would show every job to everybody: its default channel manager allows all."""
    assert get_storage() is None
