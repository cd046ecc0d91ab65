"""Static files: their names, what of them is compressed, and for how long they may be kept."""

import gzip
import os
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from django.contrib.staticfiles.storage import staticfiles_storage
from django.core.management import call_command
from django.test import Client, RequestFactory

from chatflow.serving.static_files import StaticFiles, hashed

# The end of a file looks after the connection that an earlier test may have left open.
pytestmark = pytest.mark.django_db

FOREVER = "max-age=315360000, public, immutable"
NAME = "chatflow/css/chat.css"
SOURCE = Path(__file__).resolve().parents[3] / "static" / NAME


def read(url: str, **headers: str) -> tuple[dict[str, str], bytes]:
    found: Any = Client().get(url, headers=headers)
    with closing(found) as answer:
        assert answer.status_code == 200
        return dict(answer.headers), b"".join(answer.streaming_content)


def test_a_name_has_the_hash_of_the_content() -> None:
    assert re.fullmatch(
        r"/static/chatflow/css/chat\.[0-9a-f]{12}\.css", staticfiles_storage.url(NAME)
    )


def test_a_file_under_its_hashed_name_may_be_kept_for_ever() -> None:
    headers, body = read(staticfiles_storage.url(NAME))
    assert headers["Cache-Control"] == FOREVER
    assert body == SOURCE.read_bytes()


def test_and_is_compressed() -> None:
    headers, body = read(staticfiles_storage.url(NAME), Accept_Encoding="gzip")
    assert headers["Content-Encoding"] == "gzip"
    assert headers["Vary"] == "Accept-Encoding"
    assert len(body) < SOURCE.stat().st_size / 2
    assert gzip.decompress(body) == SOURCE.read_bytes()


def test_its_plain_name_goes_on_to_work() -> None:
    headers, body = read(f"/static/{NAME}", Accept_Encoding="gzip")
    assert headers["Cache-Control"] == "max-age=60, public"
    assert gzip.decompress(body) == SOURCE.read_bytes()


def test_another_version_s_name_gets_what_there_is() -> None:
    """As a page gets it that came from a process of the version before; but not for ever."""
    root, suffix = os.path.splitext(NAME)
    headers, body = read(f"/static/{root}.000000000000{suffix}", Accept_Encoding="gzip")
    assert headers["Cache-Control"] == "max-age=60, public"
    assert gzip.decompress(body) == SOURCE.read_bytes()


@pytest.mark.parametrize(
    "url",
    [
        "/static/chatflow/css/none.css",
        "/static/chatflow/css/none.000000000000.css",
        "/static/../chatflow/settings.py",
        "/static/chatflow/css/..%2f..%2fmanage.py",
    ],
)
def test_nothing_else_is_found(url: str) -> None:
    assert Client().get(url).status_code == 404


@pytest.mark.parametrize(
    "url",
    [
        "/ai-demo/chat/history/v1.2.3",
        "/static/none.1.css",
        "/static//etc/motd.1.css",
        "/static/../manage.1.py",
        "/chatflow/css/chat.000000000000.css",
    ],
)
def test_what_is_no_file_is_not_looked_for(url: str) -> None:
    """The finders would refuse the address of an endpoint, and a cache of anything would grow."""
    middleware: Any = StaticFiles(lambda request: request.path_info)
    known = hashed.cache_info().currsize
    request: Any = RequestFactory().get("/")
    request.path_info = url
    assert middleware(request) == url
    assert hashed.cache_info().currsize == known


def test_a_file_that_is_not_there_keeps_its_name() -> None:
    assert hashed("chatflow/css/none.css") == "chatflow/css/none.css"


def test_a_picture_is_sent_as_it_is() -> None:
    headers, _ = read("/static/admin/img/icon-yes.svg")
    assert "Content-Encoding" not in headers


def test_while_debugging_names_are_plain(settings: Any) -> None:
    settings.DEBUG = True
    assert staticfiles_storage.url(NAME) == f"/static/{NAME}"


def test_collectstatic_writes_both_names(settings: Any, tmp_path: Path) -> None:
    settings.STATIC_ROOT = str(tmp_path)
    settings.STORAGES = {**settings.STORAGES}
    call_command("collectstatic", interactive=False, verbosity=0)
    copy = tmp_path / hashed(NAME)
    assert copy.read_bytes() == (tmp_path / NAME).read_bytes() == SOURCE.read_bytes()
    assert gzip.decompress(copy.with_name(f"{copy.name}.gz").read_bytes()) == SOURCE.read_bytes()


def test_a_chunk_has_its_hash_from_the_bundler() -> None:
    middleware = StaticFiles(lambda request: None)
    assert middleware.immutable_file_test("", "/static/chatflow/js/built/chunk-ABC.js")
    assert not middleware.immutable_file_test("", "/static/chatflow/js/built/chat-page.js")


def test_files_that_are_asked_for_at_once_are_not_mixed_up() -> None:
    middleware = StaticFiles(lambda request: None)
    names = [path.name for path in sorted(SOURCE.parent.glob("*.css"))]
    barrier = threading.Barrier(len(names))

    def find(name: str) -> Any:
        barrier.wait()
        return middleware._find(f"/static/chatflow/css/{name}")

    with ThreadPoolExecutor(len(names)) as pool:
        found = list(pool.map(find, names))
    paths = [Path(file.alternatives[-1][1]).resolve().name for file in found]
    assert paths == names
