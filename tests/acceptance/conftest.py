"""Real processes on real databases. ``site`` runs and is shared; ``own_site`` is the test's own."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.acceptance.browser import chromium
from tests.acceptance.processes import Databases, Site
from tests.servers import Postgres

MakeSite = Callable[..., Site]

# The files that take longest, the longest first: so all who run files side by side end together.
LONGEST = (
    *("cluster", "loop", "demo", "readme", "demo_page", "own_project", "chaos", "seed"),
    *(
        "standstill",
        "outage",
        "tutorial",
        "backup",
        "exactness",
        "observe",
        "edits_page",
        "redeploy",
    ),
)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {f"test_{name}.py": place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.name, len(places)))


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with Postgres() as server:
        yield server


@pytest.fixture(scope="session")
def databases(
    postgres: Postgres, tmp_path_factory: pytest.TempPathFactory, worker_id: str
) -> Databases:
    folder = tmp_path_factory.mktemp("databases")
    # pytest-xdist's workers have folders side by side.
    shared = folder if worker_id == "master" else tmp_path_factory.getbasetemp().parent
    return Databases(postgres, folder, shared)


@pytest.fixture(scope="session", params=["sqlite", "postgres"])
def kind(request: pytest.FixtureRequest) -> str:
    """Run the test once for each kind of database."""
    return str(request.param)


@pytest.fixture(scope="session")
def get_site(databases: Databases) -> Iterator[Callable[[str], Site]]:
    """Return what starts a site of each kind when it is asked for, once."""
    with ExitStack() as stack:

        @cache
        def get(kind: str) -> Site:
            site = stack.enter_context(databases.site(kind))
            site.start_web()
            site.start_cluster()
            return site

        yield get


@pytest.fixture(scope="session")
def site(get_site: Callable[[str], Site], kind: str) -> Site:
    """Return a running site with one web server and one cluster; leave both alive."""
    return get_site(kind)


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
