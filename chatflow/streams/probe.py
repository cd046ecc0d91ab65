"""A stream for ``manage.py doctor``, which shows whether a proxy on the way holds frames back.

It lies among the streams of jobs, so that proxies treat it as they do those, and opens to whoever
has a link that this site has just signed.
"""

import asyncio
import io
from contextlib import suppress
from urllib.parse import parse_qs

from django.core import signing
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpResponse
from django.urls import reverse

from chatflow.middleware import dress
from chatflow.streams.of_job import HEADERS, answer, gone, head_of, refusal
from chatflow.wire import routes, sse
from chatflow.wire.addresses import configured_prefix
from chatflow.wire.asgi_types import AsgiMessage, Receive, Scope, Send
from chatflow.wire.openings import Rest
from chatflow.workflows.exceptions import JobNotFound

# Stands where a job's id does.
NAME = "probe"
SALT = "chatflow.probe_stream"
# Seconds that a link is good, and between two frames.
MAX_AGE = 60
PAUSE = 0.4
FRAMES = 5


def make_path() -> str:
    """Return the path of the stream on this site, with its token."""
    path = reverse(f"{routes.API}:stream", kwargs={"job_id": NAME})
    token = signing.dumps(NAME, salt=SALT)
    return f"{path.removeprefix(configured_prefix())}?token={token}"


async def opened(scope: Scope, send: Send) -> Rest | None:
    """Answer a request for it; return what sends the frames."""
    request = ASGIRequest(scope, io.BytesIO())
    try:
        request.get_host()
        token = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[-1]
        signing.loads(token, salt=SALT, max_age=MAX_AGE)
    except signing.BadSignature:
        # To anybody else it is a job that there is none of.
        await answer(send, request, refusal(JobNotFound(), request))
        return None
    except Exception as error:
        await answer(send, request, refusal(error, request))
        return None
    head = HttpResponse(headers=HEADERS)
    dress(request, head)
    seen = request.build_absolute_uri("/").rstrip("/") + scope.get("root_path", "")
    return ProbeStream(head_of(head), seen, send)


class ProbeStream:
    """Sends some frames, with pauses between them.

    Args:
        head: of the answer.
        seen: the site's address, as the request has it.
        send: takes the answer.
    """

    def __init__(self, head: AsgiMessage, seen: str, send: Send) -> None:
        self._head, self._seen, self._send = head, seen, send

    async def run(self, receive: Receive) -> None:
        sending = asyncio.create_task(self._run())
        leaving = asyncio.create_task(gone(receive))
        await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
        for task in (sending, leaving):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _run(self) -> None:
        await self._send(self._head)
        for number in range(1, FRAMES + 1):
            body = sse.frame({"number": number, "seen": self._seen})
            more = number < FRAMES
            await self._send({"type": "http.response.body", "body": body, "more_body": more})
            if more:
                await asyncio.sleep(PAUSE)
