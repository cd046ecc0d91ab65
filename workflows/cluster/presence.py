"""A cluster's sign of life, and its patience while the database is away."""

import logging
import os
import time
import uuid
from collections.abc import Callable
from functools import partial
from typing import Any

from django.db import Error as DatabaseError
from django.db import connections
from django.db.models.functions import Now

from workflows.exceptions import first_line
from workflows.models import Cluster
from workflows.store.lifecycle import HOST
from workflows.store.outage import is_outage, on_live_connection

logger = logging.getLogger(__name__)

# Seconds between two signs of life.
REGISTER = 2.0
# Seconds after an outage of the database in which no lease counts as lost: many ran out meanwhile,
# and workers that live shall renew theirs first.
AFTERMATH = 5.0


class Presence:
    """The row that says that a cluster lives. Its process makes it.

    Args:
        workers: how many the cluster has.
    """

    def __init__(self, workers: int) -> None:
        self.cluster_id = uuid.uuid4()
        self.pid = os.getpid()
        self.workers = workers
        self._away_at = -AFTERMATH

    def register(self) -> None:
        """Renew the row.

        Raises:
            DatabaseError: the database is away.
        """
        Cluster.objects.update_or_create(
            pk=self.cluster_id,
            defaults={"seen_at": Now()},
            create_defaults={
                "host": HOST,
                "pid": self.pid,
                "workers": self.workers,
                "seen_at": Now(),
            },
        )

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
        except DatabaseError as error:
            if is_outage(error):
                logger.warning("The database is out of reach (%s).", first_line(error))
                self._away_at = time.monotonic()
            else:
                logger.warning("A chore was left undone (%s).", first_line(error))
            connections.close_all()

    def trusts_leases(self) -> bool:
        """Whether a lease that ran out is lost: not so soon after an outage."""
        return time.monotonic() - self._away_at > AFTERMATH
