"""Django's WSGI application in a bounded pool of threads: one hop to a thread, and one back.

a2wsgi's own middleware goes there and back for every piece of a request and of its answer, which
costs as much as a small answer itself. Here a request has been read before, and an answer is whole
before it is sent; streams don't come this way.
"""

import asyncio
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from io import BytesIO
from typing import Any, cast

from a2wsgi.wsgi import build_environ

from chatflow.asgi_types import Scope, Send

Header = tuple[bytes, bytes]


class Pool:
    """Serves a WSGI application.

    Args:
        application: any that gives its answers whole.
        threads: how many requests it may work on at once; the others wait.
    """

    def __init__(self, application: Any, threads: int) -> None:
        self.application = application
        self.executor = ThreadPoolExecutor(threads, thread_name_prefix="web")

    async def answer(self, scope: Scope, body: bytes, send: Send) -> None:
        """Answer a request.

        Args:
            scope: the request; its query must be ASCII.
            body: its body, whole.
            send: takes the answer.
        """
        environ = build_environ(cast(Any, scope), cast(Any, BytesIO(body)))
        # build_environ() may take it from this process's environment.
        environ["SCRIPT_NAME"] = scope.get("root_path", "")
        loop = asyncio.get_running_loop()
        # A request's context variables end with it.
        call = copy_context().run
        status, headers, content = await loop.run_in_executor(
            self.executor, call, self._call, environ
        )
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    def _call(self, environ: Any) -> tuple[int, list[Header], bytes]:
        started: list[tuple[int, list[Header]]] = []

        def start_response(status: str, headers: Iterable[tuple[str, str]], *_: Any) -> None:
            encoded = [
                (name.strip().lower().encode("latin-1"), value.strip().encode("latin-1"))
                for name, value in headers
            ]
            started.append((int(status.partition(" ")[0]), encoded))

        answer = self.application(environ, start_response)
        try:
            content = b"".join(answer)
        finally:
            # Here Django closes the request's resources.
            getattr(answer, "close", lambda: None)()
        return (*started[-1], content)
