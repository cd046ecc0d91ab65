"""Readers that do what no reader should, as a parser does that has been attacked."""

import os
import signal
import sys
import time

from chatflow.workflows.knowledge.readers import Reader, Section


class Hostile(Reader):
    kind = label = "hostile"
    suffixes = media_types = ()


class Endless(Hostile):
    """Costs CPU for ever."""

    def read(self, content: bytes) -> list[Section]:
        while True:
            pass


class Asleep(Hostile):
    """Costs nothing, and never ends; no signal that can be ignored ends it."""

    def read(self, content: bytes) -> list[Section]:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM):
            signal.signal(number, signal.SIG_IGN)
        while True:
            time.sleep(60)


class Greedy(Hostile):
    def read(self, content: bytes) -> list[Section]:
        return [Section((), "x" * 4_000_000_000)]


class Crashing(Hostile):
    def read(self, content: bytes) -> list[Section]:
        os.kill(os.getpid(), signal.SIGSEGV)
        return []


class Lying(Hostile):
    """Answers in the place of its process, with what the document is."""

    def read(self, content: bytes) -> list[Section]:
        os.write(1, content)
        os._exit(0)


class Careless(Hostile):
    def read(self, content: bytes) -> list[Section]:
        raise KeyError("nobody thought of it")


class Deep(Hostile):
    def read(self, content: bytes) -> list[Section]:
        return self.read(content)


class Curious(Hostile):
    """Says what it can find out where it runs."""

    def read(self, content: bytes) -> list[Section]:
        with open("/proc/self/environ", "rb") as environment:
            known = environment.read().replace(b"\0", b"\n").decode()
        loaded = " ".join(sorted(sys.modules))
        return [Section((), known), Section((), loaded)]
