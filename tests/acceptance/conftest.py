"""Real processes on real databases. ``site`` runs and is shared; ``own_site`` is the test's own."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.acceptance.browser import chromium
from tests.acceptance.processes import Databases, Site
from tests.servers import Postgres

MakeSite = Callable[..., Site]


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with Postgres() as server:
        yield server


@pytest.fixture(scope="session")
def databases(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Databases:
    return Databases(postgres, tmp_path_factory.mktemp("databases"))


@pytest.fixture(scope="session", params=["sqlite", "postgres"])
def kind(request: pytest.FixtureRequest) -> str:
    """Run the test once for each kind of database."""
    return str(request.param)


@pytest.fixture(scope="session")
def site(databases: Databases, kind: str) -> Iterator[Site]:
    """Return a running site with one web server and one cluster; leave both alive."""
    with databases.site(kind) as site:
        site.start_web()
        site.start_cluster()
        yield site


@pytest.fixture
def make_site(databases: Databases) -> Iterator[MakeSite]:
    """Return what makes a site: ``make_site("sqlite", STREAM_LINK_TTL="2")``."""
    with ExitStack() as stack:

        def make(kind: str, **options: Any) -> Site:
            return stack.enter_context(databases.site(kind, **options))

        yield make


@pytest.fixture
def own_site(make_site: MakeSite, kind: str) -> Site:
    """Return a site with a database of its own, where nothing runs yet."""
    return make_site(kind)


# Not for the session: while Playwright runs, no test can be a coroutine.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser
