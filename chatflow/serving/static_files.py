"""Static files straight from the apps' folders: compressed, and named by what they say.

Django's and WhiteNoise's own way to that is a collectstatic before the first start, and one after
each change. Here a name has the hash of what the file says at the moment that it is asked for, so
that browsers may keep it for ever, and a file is compressed when it is first sent. Who lets another
server send them still runs collectstatic, which writes the same names.
"""

import functools
import hashlib
import os
import re
import shutil
import tempfile
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.staticfiles import finders
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from whitenoise.compress import Compressor
from whitenoise.middleware import WhiteNoiseMiddleware

from chatflow.wire.addresses import PrefixedStaticFiles

# Digits of the hash in a name.
DIGITS = 12
HASHED = re.compile(rf"(.+)\.[0-9a-f]{{{DIGITS}}}(\.[^./]*|)", re.ASCII)


class HashedStaticFiles(PrefixedStaticFiles):
    """The storage: addresses with a hash, except while debugging."""

    def url(self, name: str | None) -> str:
        return super().url(name if settings.DEBUG or not name else hashed(name))

    def post_process(
        self, paths: dict[str, Any], dry_run: bool = False, **options: Any
    ) -> Iterator[tuple[str, str, bool]]:
        """Write each file that collectstatic has put here under its other name too, compressed."""
        for name in paths if not dry_run else ():
            other = hashed(name)
            copy = Path(self.path(other))
            copy.write_bytes(Path(self.path(name)).read_bytes())
            _compress(copy)
            yield name, other, True


@functools.cache
def hashed(name: str) -> str:
    """Return *name* with the hash of the file's content; as it is where there is no such file."""
    path = finders.find(name)
    if not path:
        return name
    digest = hashlib.sha256(Path(path).read_bytes()).hexdigest()[:DIGITS]
    root, suffix = os.path.splitext(name)
    return f"{root}.{digest}{suffix}"


class StaticFiles(WhiteNoiseMiddleware):  # type: ignore[misc]
    """The middleware: WhiteNoise, which finds a file by either of its names, and packs it."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self._paths: dict[str, str] = {}
        self._packed: dict[str, Any] = {}
        self._packing = threading.Lock()
        self._folder = tempfile.mkdtemp(prefix="chatflow-static-")
        weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        super().__init__(*args, **options)

    def add_file_to_dictionary(self, url: str, path: str, stat_cache: Any = None) -> None:
        # It is made ready when it is asked for.
        self._paths[url] = path

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        found = self._find(request.path_info)
        if found is not None:
            response: HttpResponseBase = self.serve(found, request)
            return response
        answer: HttpResponseBase = super().__call__(request)
        return answer

    def _find(self, url: str) -> Any:
        """Return the file at *url*, made ready when it is first asked for, or None."""
        if url not in self._packed:
            path = self._paths.get(url) or self._paths.get(self._unhashed(url))
            if path is None:
                # While a site's processes are replaced one by one, a page of one version asks a
                # process of the other one. It gets what there is, and keeps it for a minute only.
                plain = self._plain(url)
                return self._find(plain) if plain in self._paths else None
            # A page's files are asked for all at once, each by a thread of its own.
            with self._packing:
                if url not in self._packed:
                    self._packed[url] = self._pack(path, url)
        return self._packed[url]

    def _plain(self, url: str) -> str:
        """Return *url* without the hash in it, whatever hash that is; else nothing."""
        found = HASHED.fullmatch(url.removeprefix(self.static_prefix))
        return f"{self.static_prefix}{found[1]}{found[2]}" if found else ""

    def _unhashed(self, url: str) -> str:
        """Return the plain address of a file, where *url* is its hashed one; else nothing."""
        name, known = url.removeprefix(self.static_prefix), self._plain(url)
        # What is no file is not looked for: anybody may ask for any address.
        if name == url or known not in self._paths:
            return ""
        return known if hashed(known.removeprefix(self.static_prefix)) == name else ""

    def _pack(self, path: str, url: str) -> Any:
        """Lay a compressed copy beside the file's stand-in, where WhiteNoise looks for one."""
        stand_in = Path(self._folder, f"{len(self._packed)}{Path(path).suffix}")
        stand_in.symlink_to(path)
        _compress(stand_in)
        return self.get_static_file(str(stand_in), url)

    def immutable_file_test(self, path: str, url: str) -> bool:
        return bool(self._unhashed(url)) or self._is_chunk(url)

    def _is_chunk(self, url: str) -> bool:
        """Say whether the bundler has put a hash into the name (bin/bundle.mjs)."""
        return url.startswith(f"{self.static_prefix}chatflow/js/built/chunk-")


def _compress(path: Path) -> None:
    packer = Compressor(quiet=True)
    if packer.should_compress(path.name):
        packer.compress(str(path))
