"""Whether a request's database connection is alive is asked only where that isn't known.

With CONN_HEALTH_CHECKS Django asks before the first query of every request, which is one round trip
more than the request needs. A connection that has served another one a moment ago is taken for
alive; if the database goes away in that moment, the answer is 503, and the next request connects.
"""

import time
from typing import Any

from django.core.signals import request_finished, request_started
from django.db import connection
from django.dispatch import receiver

# Seconds for which a connection is known to be alive.
FRESH = 1.0


# Django's own receiver, which wants the question asked, is connected before this one.
@receiver(request_started)
def trust_what_has_just_served(**kwargs: Any) -> None:
    if time.monotonic() < getattr(connection, "trusted_until", 0.0):
        connection.health_check_done = True  # type: ignore[attr-defined]


@receiver(request_finished)
def note_that_it_has_served(**kwargs: Any) -> None:
    connection.trusted_until = time.monotonic() + FRESH  # type: ignore[attr-defined]
