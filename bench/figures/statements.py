"""The statements of every job, each by itself, over one connection.

The peer is the same statements, planned anew each time: the difference is the saving of
chatflow/workflows/store/database/prepared.py.
"""

from functools import partial

from bench.ratio import Samples, compare
from bench.site import Site
from bench.stage import Stage
from bench.table import Line, line

JOBS = 250


def measure(stage: Stage) -> list[Line]:
    # A site of its own: a job that another figure has left would be claimed here.
    site = Site(stage.postgres.create_database("statements"))
    found = compare(
        partial(asked, site, "auto"), partial(asked, site, "force_custom_plan"), bar=1.0
    )
    return [
        line(f"to {each.name}", each.value, "ms",
             peer=each.peer, peer_name="planned each time",
             bar="≤ 1× peer", held=each.value <= each.peer)
        for each in found
    ]  # fmt: skip


def asked(site: Site, plans: str) -> Samples:
    """Return the milliseconds of each statement, under PostgreSQL's ``plan_cache_mode``."""
    samples: Samples = site.inside("statements", JOBS, plans)
    return samples
