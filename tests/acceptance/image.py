"""The Dockerfile's last stage without a container runtime: its files in a root of their own.

The system and the packages are this machine's. What runs is what the image would run: by the same
commands, as the same user without any rights, as PID 1, on a root file system that is read-only.
"""

import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from tests.acceptance.processes import ROOT, SECONDS, may_make_containers
from tests.dockerfile import copied, of

# What a root consists of, beside the image's own files.
SYSTEM = ("usr", "etc", "dev")
# The arguments: the root, the folders to bind, as SOURCE:TARGET, and behind -- the command.
ENTER = """
mount --make-rprivate /
root=$1; shift
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount -t tmpfs tmpfs "$root/tmp"
while test "$1" != --; do
    mkdir -p "$root${1#*:}"
    mount --rbind "${1%%:*}" "$root${1#*:}"
    mount -o remount,bind,ro "$root${1#*:}"
    shift
done
shift
mount -o remount,bind,ro "$root"
exec chroot "$root" "$@"
"""

__all__ = ["Image", "may_make_containers"]


class Image:
    """What the Dockerfile makes of this checkout.

    Args:
        root: an empty folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        [workdir] = set(of("WORKDIR"))
        self.workdir = workdir
        self.user = of("USER")[-1]
        self.entrypoint: list[str] = json.loads(of("ENTRYPOINT")[-1])
        self.web: list[str] = json.loads(of("CMD")[-1])
        self.health: list[str] = json.loads(of("HEALTHCHECK")[-1].partition("CMD ")[2])
        self.env = dict(pair.split("=", 1) for pair in shlex.split(of("ENV")[-1]))
        self.env["PATH"] = self.env["PATH"].replace("$PATH", "/usr/local/bin:/usr/bin:/bin")
        self.copy()
        venv = Path(sys.prefix)
        self.binds = [
            *(f"/{name}:/{name}" for name in SYSTEM),
            f"{venv.resolve()}:{workdir}/.venv",
            # Where its scripts look for their Python, and that for its library.
            *(f"{venv.resolve()}:{each}" for each in sorted({str(venv), str(venv.resolve())})),
            f"{sys.base_prefix}:{sys.base_prefix}",
        ]
        for name in ("proc", "tmp"):
            (root / name).mkdir()
        for name in ("bin", "sbin", "lib", "lib64"):
            if Path("/", name).is_symlink():
                (root / name).symlink_to(Path("/", name).readlink())

    def place(self, path: str) -> Path:
        return self.root / path.lstrip("/")

    def copy(self) -> None:
        """Do as the COPY instructions say, with what git knows or would."""
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        names = [Path(name) for name in listed.stdout.split("\0") if name]
        for sources, target in copied():
            for source in map(Path, sources):
                for name in names:
                    if (name == source or source in name.parents) and (ROOT / name).is_file():
                        inside = Path(target, source.name if target == "./" else "")
                        copy = self.place(self.workdir) / inside / name.relative_to(source)
                        copy.parent.mkdir(parents=True, exist_ok=True)
                        shutil.copy2(ROOT / name, copy)

    def command(self, *command: str, entrypoint: bool = True) -> list[str]:
        """Return what runs a command in a container: with the image's init, or as PID 1 itself."""
        user, _, group = self.user.partition(":")
        return [
            *("unshare", "--mount", "--pid", "--fork", "--kill-child=SIGKILL", "--"),
            *("bash", "-euc", ENTER, "enter", str(self.root), *self.binds, "--"),
            *("setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups"),
            *("--no-new-privs", "--bounding-set=-all", "--inh-caps=-all", "--"),
            *("env", f"--chdir={self.workdir}", *(f"{k}={v}" for k, v in self.env.items())),
            *(self.entrypoint if entrypoint else ()),
            *command,
        ]

    def run(self, *command: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
        """Run a command in a container to its end."""
        return subprocess.run(
            self.command(*command),
            env=env,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
