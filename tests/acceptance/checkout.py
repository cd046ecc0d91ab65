"""A copy of the project, as somebody would clone it, and its demo."""

import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import httpx

from tests.acceptance.nursery import INHERITED
from tests.acceptance.processes import (
    ROOT,
    SECONDS,
    Process,
    children,
    is_alive,
)

READY = re.compile(
    r"^Chatflow is ready: (?P<url>http://\S+/ai-demo/chat/)"
    r" - sign in as (?P<user>\w+), password (?P<password>\w+) - token (?P<token>\w+)$",
    re.MULTILINE,
)
LINK = re.compile(r"^Or open this, which signs you in, once: (\S+)$", re.MULTILINE)


class Checkout:
    """The files that git knows or would, with the packages of this checkout."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        for name in filter(None, listed.stdout.split("\0")):
            # Another engineer may have removed it just now.
            if (ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, folder / name)
        (folder / ".venv").symlink_to(ROOT / ".venv")
        self.env = {name: os.environ[name] for name in INHERITED if name in os.environ}
        self._demos = 0

    def shell(self, code: str) -> str:
        """Run what a person types, in the project's folder."""
        done = subprocess.run(
            ["bash", "-euc", code],
            cwd=self.folder,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def demo(self, **env: str) -> "Demo":
        """Start ``make demo``. The packages count as installed: .venv isn't the copy's own."""
        self._demos += 1
        log = self.folder / f"demo-{self._demos}.log"
        command = ["make", "--assume-old=.venv/.installed", "demo"]
        return Demo(command, env=self.env | env, log=log, cwd=self.folder)


class Demo(Process):
    """A running ``make demo``."""

    token = ""

    def wait_until_ready(self) -> re.Match[str]:
        self.wait_for(lambda: READY.search(self.log()))
        ready = READY.search(self.log())
        assert ready is not None
        self.url = ready["url"].removesuffix("/ai-demo/chat/")
        self.token = ready["token"]
        return ready

    def link(self) -> str:
        """Return the link that signs in."""
        self.wait_for(lambda: LINK.search(self.log()))
        found = LINK.search(self.log())
        assert found is not None
        return found[1]

    def client(self) -> httpx.Client:
        headers = {"Authorization": f"Bearer {self.token}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=SECONDS, trust_env=False)

    def family(self) -> list[int]:
        """Return all processes of the demo: it, what it started, and so on."""
        found = [self.pid]
        for pid in found:
            found += children(pid)
        return found

    def stop(self) -> list[int]:
        """Press Ctrl-C, and return which of its processes are alive after its end."""
        family = self.family()
        os.killpg(self.pid, signal.SIGINT)
        self.wait()
        return [pid for pid in family if is_alive(pid)]
