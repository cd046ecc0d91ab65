"""Frames of Server-Sent Events; pure functions. LF only, one line of data each."""

import json
from typing import Any

KEEP_ALIVE = b": keep-alive\n\n"
# Lines end here for some clients, though not by the specification.
LINE_ENDS = {0x85: "\\u0085", 0x2028: "\\u2028", 0x2029: "\\u2029"}
# Made once: json.dumps() would make one for each frame.
encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def frame(
    data: dict[str, Any],
    *,
    event: str | None = None,
    event_id: int | str | None = None,
    retry: int | None = None,
) -> bytes:
    """Return the frame of *data*, which a client finds again as JSON in ``event.data``.

    Args:
        data: JSON.
        event: the type that a client listens for; by default ``message``.
        event_id: the client sends it as ``Last-Event-ID`` when it reconnects.
        retry: milliseconds to wait before it does.
    """
    lines = []
    if event is not None:
        lines.append(f"event: {event}")
    if event_id is not None:
        lines.append(f"id: {event_id}")
    if retry is not None:
        lines.append(f"retry: {retry}")
    text = encode(data)
    # To look for them takes as long as to encode, and most texts can't have any.
    lines.append(f"data: {text if text.isascii() else text.translate(LINE_ENDS)}")
    return "\n".join([*lines, "", ""]).encode("utf-8", "replace")
