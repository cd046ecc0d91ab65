"""A job's life: claim, renew, give back, reap, end. Nothing else changes a job's state.

Each transition names the state and the attempt that it starts from, in the UPDATE itself or in the
lock before it: who finds no row has lost the race and does nothing more. Leases and delays go by
the database's clock.
"""

from chatflow.workflows.store.lifecycle.claims import claim, claim_inline, seconds_to_next
from chatflow.workflows.store.lifecycle.endings import (
    CANCELLED,
    INTERRUPTED,
    TIMED_OUT,
    WEB_PROCESS_LOST,
    WORKER_LOST,
    Outcome,
    cancelled,
    end,
)
from chatflow.workflows.store.lifecycle.leases import Held, give_back, held, renew
from chatflow.workflows.store.lifecycle.locks import hold, lock_session
from chatflow.workflows.store.lifecycle.moves import move
from chatflow.workflows.store.lifecycle.reaping import (
    CLUSTER_SEEN,
    any_lease_ran_out,
    clusters,
    clusters_alive,
    leases_ran_out,
    reap,
    reap_cluster,
    reap_inline,
    reap_worker,
    stuck_workers,
)
from chatflow.workflows.store.lifecycle.turns import next_turn, turn_params
from chatflow.workflows.store.lifecycle.vigil import Vigil, heartbeat_interval
from chatflow.workflows.store.lifecycle.workers import HOST, Worker, this_process, worker_id

__all__ = [
    "CANCELLED",
    "CLUSTER_SEEN",
    "HOST",
    "INTERRUPTED",
    "TIMED_OUT",
    "WEB_PROCESS_LOST",
    "WORKER_LOST",
    "Held",
    "Outcome",
    "Vigil",
    "Worker",
    "any_lease_ran_out",
    "cancelled",
    "claim",
    "claim_inline",
    "clusters",
    "clusters_alive",
    "end",
    "give_back",
    "heartbeat_interval",
    "held",
    "hold",
    "leases_ran_out",
    "lock_session",
    "move",
    "next_turn",
    "reap",
    "reap_cluster",
    "reap_inline",
    "reap_worker",
    "renew",
    "seconds_to_next",
    "stuck_workers",
    "this_process",
    "turn_params",
    "worker_id",
]
