"""Where a thread is, without a standstill of its own; test_loop.py has the rest."""

import gc
import sys
import threading
from types import FrameType

import pytest

from chatflow.workflows.running.pulse import frame_of


def test_the_frame_of_a_thread() -> None:
    found = frame_of(threading.get_ident())
    assert found is not None
    assert "test_the_frame_of_a_thread" in (found.f_code.co_name, found.f_back.f_code.co_name)  # type: ignore[union-attr]
    assert frame_of(0) is None


@pytest.mark.parametrize("collects", [True, False])
def test_no_collection_begins_meanwhile(collects: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def frames() -> dict[int, FrameType]:
        seen.append(gc.isenabled())
        return {}

    monkeypatch.setattr(sys, "_current_frames", frames)
    if not collects:
        gc.disable()
    try:
        frame_of(1)
        assert gc.isenabled() is collects
    finally:
        gc.enable()
    assert seen == [False]
