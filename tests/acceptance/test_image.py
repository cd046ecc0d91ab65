"""The image's processes as they would run in a container: alone, without rights, read-only."""

import os
import signal
from pathlib import Path

import httpx
import pytest

from tests.acceptance.conftest import MakeSite
from tests.acceptance.image import Image, may_make_containers
from tests.acceptance.processes import Process, Site, children, eventually
from tests.acceptance.streams import Stream, read_stream
from tests.acceptance.test_streams import CUT_OFF
from tests.servers import HOST, free_port

pytestmark = pytest.mark.skipif(
    not may_make_containers(), reason="This user may not make namespaces."
)
MONITOR = ("python", "manage.py", "queue_monitor", "--here")


@pytest.fixture
def image(tmp_path: Path) -> Image:
    tmp_path.chmod(0o755)
    root = tmp_path / "root"
    root.mkdir()
    return Image(root)


@pytest.fixture
def own_site(make_site: MakeSite) -> Site:
    # The image has no test's workflows.
    return make_site("postgres", EXTRA_APPS="")


def test_the_image_s_processes(image: Image, own_site: Site) -> None:
    site, port = own_site, free_port()
    web = start_web(image, site, port)
    cluster = start_cluster(image, site)
    assert image.run(*MONITOR, env=site.env).returncode == 0
    health = [part.replace("8000", str(port)) for part in image.health]
    assert image.run(*health, env=site.env).returncode == 0
    assert_has_no_rights(image, site, web)

    # A worker is killed, as by the kernel that has no memory left; nothing stays behind.
    [supervisor] = inside(cluster)
    victim = children(supervisor)[0]
    os.kill(victim, signal.SIGKILL)
    eventually(lambda: len(children(supervisor)) == 3 and victim not in children(supervisor))
    assert zombies(cluster) == []

    # The cluster drains: the job that runs has its end, and its first attempt. The stream is cut,
    # so that its client comes back.
    sent = site.send("alice", "run a long demo")
    with Stream(sent["stream_url"]) as stream:
        seen = stream.until(type="started")
        stop(cluster)
        stop(web)
        with pytest.raises(CUT_OFF):
            list(stream)
    # With the signal's own number, as uvicorn has done all that was to do.
    assert web.wait() == 128 + signal.SIGTERM
    assert image.run(*health, env=site.env).returncode != 0
    assert cluster.wait() == 0
    again = start_web(image, site, port, entrypoint=False)
    rest = read_stream(sent["stream_url"], last_event_id=seen["id"])
    assert rest[-1]["status"] == "completed"
    assert site.status("alice", sent["job_id"])["attempt"] == 1
    # Without an init it stops as well, once it runs.
    stop(again)
    again.wait(10)


def start_web(image: Image, site: Site, port: int, *, entrypoint: bool = True) -> Process:
    """Start the image's own command, on a port of this machine."""
    command = [{"0.0.0.0": HOST, "8000": str(port)}.get(word, word) for word in image.web]
    return site.serve("web", image.command(*command, entrypoint=entrypoint), port)


def start_cluster(image: Image, site: Site) -> Process:
    command = image.command("python", "manage.py", "qcluster", "--grace", "30")
    cluster = site.start("cluster", command)
    cluster.wait_for(lambda: "The cluster works" in cluster.log())
    return cluster


def inside(process: Process) -> list[int]:
    """Return what the container's init has started."""
    [init] = children(process.pid)
    return children(init)


def stop(process: Process) -> None:
    """Send SIGTERM to the container's PID 1, as a runtime does."""
    [init] = children(process.pid)
    os.kill(init, signal.SIGTERM)


def zombies(process: Process) -> list[int]:
    """Return the dead of a container that nobody has buried."""
    namespace = os.readlink(f"/proc/{children(process.pid)[0]}/ns/pid")
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state = stat.read_text().rpartition(")")[2].split()[0]
            if state == "Z" and os.readlink(stat.parent / "ns" / "pid") == namespace:
                found.append(int(stat.parent.name))
        except OSError:
            continue
    return found


def assert_has_no_rights(image: Image, site: Site, web: Process) -> None:
    [server] = inside(web)
    status = Path(f"/proc/{server}/status").read_text()
    assert f"Uid:\t{image.user.partition(':')[0]}\t" in status
    assert "CapEff:\t0000000000000000\n" in status
    assert "CapBnd:\t0000000000000000\n" in status
    assert "NoNewPrivs:\t1\n" in status
    wrote = image.run("touch", f"{image.workdir}/file", env=site.env)
    assert "Read-only file system" in wrote.stderr
    # Static files are packed into /tmp.
    page = httpx.get(f"{web.url}/accounts/login/", trust_env=False)
    assert page.status_code == 200
    style = page.text.partition('href="/static/')[2].partition('"')[0]
    assert httpx.get(f"{web.url}/static/{style}", trust_env=False).status_code == 200
