"""A reading process: reads documents that come on its input, each in a child. See isolation.py."""

import importlib
import json
import os
import resource
import signal
import socket
import sys
from select import select
from typing import Any

from chatflow.workflows.knowledge.readers import base
from chatflow.workflows.knowledge.readers.base import BROKEN, LENGTH, Reader, Unreadable, checked

# The requests of people, and the jobs, go first.
NICE = 10


def main() -> None:
    os.nice(NICE)
    line = socket.socket(fileno=sys.stdin.fileno())
    requests = line.makefile("rb")
    while header := requests.readline():
        request = json.loads(header)
        content = requests.read(request["length"])
        # Held open by the child alone: it ends with the child.
        life, own = os.pipe()
        child = os.fork()
        if child == 0:
            serve(request, content)
        os.close(own)
        ready, _, _ = select([line.fileno(), life], [], [])
        if line.fileno() in ready and not line.recv(1, socket.MSG_PEEK):
            # Nobody waits for the answer any longer.
            os.kill(child, signal.SIGKILL)
        os.close(life)
        _, status = os.waitpid(child, 0)
        if status:
            # There was no answer, or half of one: the reason is the answer.
            sys.exit(abs(os.waitstatus_to_exitcode(status)))


def serve(request: dict[str, Any], content: bytes) -> None:
    """Answer a request, as the child, and end."""
    try:
        limit(request)
        answer = made(request, content)
        sys.stdout.buffer.write(len(answer).to_bytes(LENGTH) + answer)
        sys.stdout.buffer.flush()
    except BaseException:
        os._exit(1)
    os._exit(0)


def limit(request: dict[str, Any]) -> None:
    # Whatever becomes of the process above, this one ends.
    signal.setitimer(signal.ITIMER_REAL, request["seconds"])
    seconds = request["cpu_seconds"]
    # SIGXCPU comes first, and tells the reason.
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_AS, (request["memory"],) * 2)
    for none in (resource.RLIMIT_FSIZE, resource.RLIMIT_CORE):
        resource.setrlimit(none, (0, 0))
    base.MOST_TEXT = request["most_text"]


def made(request: dict[str, Any], content: bytes) -> bytes:
    """Return the answer: the document's sections, or the sentence that says why there are none."""
    answer: dict[str, Any]
    try:
        sections = checked(reader(request["reader"]), content)
        answer = {"sections": [(section.headings, section.text) for section in sections]}
        return json.dumps(answer, ensure_ascii=False).encode()
    except Unreadable as error:
        answer = {"unreadable": str(error)}
    except MemoryError:
        answer = {"unreadable": "This document takes too much memory to read."}
    except Exception:
        answer = {"unreadable": BROKEN}
    return json.dumps(answer).encode()


def reader(name: str) -> Reader:
    module, _, kind = name.partition(":")
    made: Reader = getattr(importlib.import_module(module), kind)()
    return made


if __name__ == "__main__":
    main()
