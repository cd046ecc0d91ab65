"""A cluster's sign of life, the burial of those that died here, and its patience."""

import logging
import os
import uuid
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import count
from typing import Any

from django.db import Error as DatabaseError
from django.db import connections
from django.db.models.functions import Now

from chatflow.workflows.cluster.processes import find_beginning, find_place, is_dead
from chatflow.workflows.exceptions import advice
from chatflow.workflows.logs import Outage
from chatflow.workflows.models import Cluster
from chatflow.workflows.store import lifecycle
from chatflow.workflows.store.figures import Counting
from chatflow.workflows.store.lifecycle import HOST, Vigil
from chatflow.workflows.store.outage import is_outage, on_live_connection

logger = logging.getLogger(__name__)

# Seconds between two signs of life.
REGISTER = 2.0


@dataclass(frozen=True, kw_only=True)
class WorkerProcess:
    """A worker's process, as its cluster's row describes it.

    Args:
        worker: the worker's identity.
        pid: its number on its machine.
        is_async: it runs many coroutines, and nothing else.
        memory: bytes of it that are in memory, those that it shares among them; None where nobody
            can tell.
        blocked_at: when a coroutine held its loop up last, in seconds since 1970; 0 for never.
    """

    worker: str
    pid: int
    is_async: bool = False
    memory: int | None = None
    blocked_at: float = 0.0


class Presence:
    """The row that says that a cluster lives. Its process makes it.

    Args:
        workers: how many the cluster has.
        pace: seconds between two looks at leases that ran out.
        queues: names of those that it serves; none for all.
    """

    def __init__(self, workers: int, pace: float, queues: Sequence[str] = ()) -> None:
        self.cluster_id = uuid.uuid4()
        self.pid = os.getpid()
        self.workers = workers
        self.queues = list(queues)
        self.vigil = Vigil(pace)
        # Nobody knows how long others have stood still.
        self.vigil.doubt()
        self._numbers = count(1)
        self._outage = Outage()

    def next_worker_id(self) -> str:
        """Return the identity of the worker that is started next."""
        return lifecycle.worker_id(self.cluster_id, next(self._numbers))

    def register(self, processes: Sequence[WorkerProcess] = ()) -> None:
        """Renew the row.

        Args:
            processes: the cluster's workers.

        Raises:
            DatabaseError: the database is away.
        """
        told = [asdict(each) for each in processes]
        row = Cluster.objects.filter(pk=self.cluster_id)
        if not row.update(seen_at=Now(), processes=told):
            Cluster.objects.create(
                pk=self.cluster_id,
                host=HOST,
                pid=self.pid,
                place=find_place(),
                began=find_beginning(self.pid),
                workers=self.workers,
                queues=self.queues,
                processes=told,
                started_at=Now(),
                seen_at=Now(),
            )

    def count(self, counting: Counting) -> None:
        """Count what has ended, where this is the oldest cluster that lives: one is enough.

        Raises:
            DatabaseError: the database is away.
        """
        first = lifecycle.clusters().values_list("pk", flat=True).first()
        if first not in (None, self.cluster_id):
            return
        try:
            counting.count()
        except DatabaseError:
            raise
        except Exception as error:
            # No figure is worth a cluster.
            logger.error("What has ended could not be counted.", exc_info=error)

    def withdraw(self) -> None:
        """Delete the row, unless the database is away: then it ages."""
        self.do_chore(Cluster.objects.filter(pk=self.cluster_id).delete)

    def do_chore(self, chore: Callable[..., object], **kwargs: Any) -> None:
        """Do a chore in the database; if that fails, leave it for later or to another cluster.

        Args:
            chore: called with *kwargs*.
        """
        try:
            on_live_connection(partial(chore, **kwargs))
            self._outage.end()
        except DatabaseError as error:
            if is_outage(error):
                if self._outage.is_news():
                    logger.warning("The database is out of reach (%s).", advice(error))
                self.vigil.doubt()
            else:
                logger.warning("A chore was left undone (%s).", advice(error))
            connections.close_all()


def take_back_lost_jobs(vigil: Vigil) -> None:
    """Take back the jobs of clusters that died here, and those whose leases ran out.

    Args:
        vigil: of whoever looks.

    Raises:
        DatabaseError: the database is away.
    """
    bury_dead_clusters()
    lifecycle.reap(vigil)


def bury_dead_clusters() -> None:
    """Take back the jobs of clusters that have died in this place.

    Their workers have died with them: see supervisor.die_with_parent().

    Raises:
        DatabaseError: the database is away.
    """
    place = find_place()
    if not place:
        return
    for cluster in Cluster.objects.filter(place=place):
        dead = cluster.began is not None and is_dead(cluster.pid, cluster.began)
        if dead and lifecycle.reap_cluster(cluster.pk):
            logger.warning("The cluster with pid %d died; its jobs are taken back.", cluster.pid)
            cluster.delete()
