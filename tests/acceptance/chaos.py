"""Chaos: processes are killed and paused, connections cut, the database goes away or takes no
writes; and jobs run.

One of the two clusters runs in a container, where that is allowed: its processes have the same pids
whenever it is started again.

    python -m tests.acceptance.chaos --seconds 600

The victims are drawn with a fixed seed. Afterwards the books are audited: see audit().
"""

import argparse
import itertools
import json
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import httpx

from tests.acceptance.processes import (
    CONTAINER,
    LEDGER,
    Databases,
    Process,
    Site,
    children,
    may_make_containers,
)
from tests.servers import Postgres

LEASE = 3.0
SETTINGS = {
    # A job is hit by more kills here than in years of production. What is tested is that no kill
    # loses or repeats anything, not that three of them are enough to give a job up.
    "WORKFLOW_TRIES": "1000",
    # The jobs of a container that was killed, or of a cluster that is paused, wait for their leases
    # to run out.
    "WORKFLOW_LEASE_SECONDS": str(LEASE),
}
# How many jobs wait or run at any moment, so that every kind of blow meets some.
AT_ONCE = 60
# Seconds that the jobs get to end, once the last one was sent.
PATIENCE = 300.0
TERMINAL = ("completed", "failed", "timeout", "cancelled")

# The kinds of blows, and how often each comes. SQLite has no connections to cut and no standby, and
# who is paused with its one lock in hand stops everybody.
KILLS: dict[str, int] = {"kill a worker": 6, "kill a supervisor": 2}
BLOWS: dict[str, int] = {
    **KILLS,
    "cut a connection": 3,
    "cancel a job": 1,
    "pause": 1,
    "take no writes": 1,
}
# Seconds that the database takes no writes, at most.
READ_ONLY = 4.0

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is to happen.

    Args:
        seed: draws jobs and victims.
        jobs: how many to send; None to send until the time is over.
        seconds: how long to send, where *jobs* is None.
        sessions: how many sessions the jobs are spread over.
        pause: the longest time in front of a step, in seconds.
        inside: the longest time in a step's transaction.
        blow_every: seconds between two blows.
        weights: the kinds of blows, and how often each comes.
        outages: seconds that the database stays down, one for each outage; they are spread evenly.
    """

    seed: int
    jobs: int | None = None
    seconds: float = 0.0
    sessions: int = 40
    pause: float = 0.15
    inside: float = 0.1
    blow_every: float = 1.0
    weights: dict[str, int] = field(default_factory=lambda: dict(BLOWS))
    outages: tuple[float, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Order:
    """A job to be sent."""

    key: str
    session: str
    workflow: str
    steps: int
    message: str


class Sender(threading.Thread):
    """Sends the orders, each until it is accepted: its Idempotency-Key makes it one job."""

    def __init__(self, site: Site, orders: Iterator[Order]) -> None:
        super().__init__(name="sender", daemon=True)
        self.client = site.client("alice")
        self.orders = orders
        # By public id.
        self.sent: dict[str, Order] = {}
        self.refused = 0
        self.error: str | None = None
        self.finished = 0
        self.leaving = False

    def run(self) -> None:
        try:
            for order in self.orders:
                while len(self.sent) - self.finished >= AT_ONCE and not self.leaving:
                    time.sleep(0.02)
                if self.leaving:
                    return
                self.sent[self.send(order)] = order
        except Exception as error:
            self.error = repr(error)

    def send(self, order: Order) -> str:
        body = {
            "message": order.message,
            "session_id": order.session,
            "workflow": order.workflow,
            "async": True,
        }
        while True:
            try:
                answer = self.client.post(
                    "/ai-demo/chat/send", json=body, headers={"Idempotency-Key": order.key}
                )
            except httpx.TransportError:
                self.refused += 1
                time.sleep(0.2)
                continue
            if answer.status_code == 503 and "Retry-After" in answer.headers:
                self.refused += 1
                time.sleep(0.2)
                continue
            assert answer.status_code == 202, f"{answer.status_code}: {answer.text}"
            return str(answer.json()["job_id"])


class Chaos:
    """Runs a plan on a migrated site where nothing runs yet."""

    def __init__(self, site: Site, plan: Plan, postgres: Postgres | None, say: Say) -> None:
        self.site = site
        self.plan = plan
        self.postgres = postgres
        self.say = say
        self.random = random.Random(plan.seed)
        self.done: Counter[str] = Counter()
        self.prefixes = [[], CONTAINER if may_make_containers() else []]
        self.clusters: list[Process] = []
        self.cancelled: set[str] = set()
        self.began = time.monotonic()

    def run(self) -> list[str]:
        """Do it, and return what the audit complains of."""
        self.site.start_web()
        self.clusters = [self.start_cluster(prefix) for prefix in self.prefixes]
        for cluster in self.clusters:
            cluster.wait_for(partial(works, cluster))
        sender = Sender(self.site, self.orders())
        self.began = time.monotonic()
        sender.start()
        try:
            self.strike_while(sender)
        finally:
            sender.leaving = True
        sender.join(60)
        return self.summary(sender) + audit(self.site, sender.sent, self.cancelled)

    def orders(self) -> Iterator[Order]:
        drawn = random.Random(self.plan.seed + 1)
        for number in itertools.count(1):
            if self.plan.jobs is not None and number > self.plan.jobs:
                return
            if self.plan.jobs is None and self.age >= self.plan.seconds:
                return
            steps = drawn.randint(1, 6)
            seconds = drawn.uniform(0, self.plan.pause)
            inside = drawn.uniform(0, self.plan.inside)
            order = {"steps": steps, "seconds": seconds, "inside": inside}
            yield Order(
                key=f"order-{number}",
                session=f"session-{drawn.randrange(self.plan.sessions)}",
                workflow=drawn.choice(["ledger", "async_ledger"]),
                steps=steps,
                message=json.dumps(order),
            )

    @property
    def age(self) -> float:
        return time.monotonic() - self.began

    def strike_while(self, sender: Sender) -> None:
        """Strike blow after blow until all jobs have ended; clusters that died start again."""
        outages = list(self.plan.outages)
        next_blow, next_line = self.plan.blow_every, 30.0
        sent_at: float | None = None
        while True:
            self.restart_the_dead()
            sender.finished = self.count_finished()
            if not sender.is_alive():
                if sent_at is None:
                    sent_at = self.age
                if sender.error or sender.finished >= len(sender.sent):
                    return
                if self.age > sent_at + PATIENCE:
                    return
            if self.age >= next_line:
                next_line += 30
                self.say(f"{self.age:5.0f} s  {len(sender.sent)} sent, {sender.finished} ended")
            if outages and self.progress(sender) >= 1 - len(outages) / (len(self.plan.outages) + 1):
                # One more is sent meanwhile, again and again.
                sender.finished += 1
                self.take_the_database_down(outages.pop(0))
            if self.age >= next_blow:
                next_blow = self.age + self.plan.blow_every
                self.strike()
            time.sleep(0.05)

    def progress(self, sender: Sender) -> float:
        """Return how much of the plan is done, from 0 to 1."""
        if self.plan.jobs is None:
            return self.age / self.plan.seconds
        return sender.finished / self.plan.jobs

    def count_finished(self) -> int:
        return int(
            self.site.value("SELECT count(*) FROM workflows_job WHERE finished_at IS NOT NULL")
        )

    def restart_the_dead(self) -> None:
        """Start dead clusters again, as systemd does."""
        for index, cluster in enumerate(self.clusters):
            if not cluster.running:
                self.clusters[index] = self.start_cluster(self.prefixes[index])

    def start_cluster(self, prefix: list[str]) -> Process:
        command = self.site.manage_command("qcluster", "--workers=2")
        return self.site.start("cluster", [*prefix, *command])

    def supervisors(self) -> dict[int, Process]:
        """Return the supervisors that live, each with the process that it ends.

        A container's own process is its supervisor's parent.
        """
        both = zip(self.clusters, self.prefixes, strict=True)
        found = {
            cluster: cluster.children()[:1] if prefix else [cluster.pid] for cluster, prefix in both
        }
        return {pid: cluster for cluster, pids in found.items() for pid in pids}

    # Blows.

    def strike(self) -> None:
        kinds = list(self.plan.weights)
        [kind] = self.random.choices(kinds, weights=list(self.plan.weights.values()))
        blows: dict[str, Callable[[], bool]] = {
            "kill a worker": self.kill_a_worker,
            "kill a supervisor": self.kill_a_supervisor,
            "cut a connection": self.cut_a_connection,
            "cancel a job": self.cancel_a_job,
            "pause": self.pause,
            "take no writes": self.take_no_writes,
        }
        self.done[kind if blows[kind]() else f"{kind} (there was none)"] += 1

    def kill_a_worker(self) -> bool:
        workers = sorted(pid for parent in self.supervisors() for pid in children(parent))
        return bool(workers) and kill(self.random.choice(workers))

    def kill_a_supervisor(self) -> bool:
        supervisors = self.supervisors()
        if not supervisors:
            return False
        pid = self.random.choice(list(supervisors))
        killed = kill(pid)
        if killed:
            # A container ends a moment later, which must not look like an end by itself.
            supervisors[pid].wait()
        return killed

    def pause(self) -> bool:
        """Have a cluster, or both, stand still for longer than a lease."""
        paused = self.random.sample(self.clusters, self.random.randint(1, len(self.clusters)))
        for number in (signal.SIGSTOP, signal.SIGCONT):
            for cluster in paused:
                with suppress(ProcessLookupError):
                    os.killpg(cluster.pid, number)
            if number == signal.SIGSTOP:
                time.sleep(LEASE + 1)
        return True

    def cut_a_connection(self) -> bool:
        """Terminate a random backend: of a worker, a watchdog, a doorbell, the web server."""
        pids = self.site.query(
            "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend'"
            " AND datname = current_database() AND pid <> pg_backend_pid() ORDER BY pid"
        )
        if not pids:
            return False
        [pid] = self.random.choice(pids)
        return bool(self.site.value(f"SELECT pg_terminate_backend({pid})"))

    def take_no_writes(self) -> bool:
        """Have the database answer as a standby does, as after a failover."""
        self.make_read_only("on")
        time.sleep(self.random.uniform(0.5, READ_ONLY))
        self.make_read_only("off")
        return True

    def make_read_only(self, value: str) -> None:
        self.site.query(f"ALTER SYSTEM SET default_transaction_read_only = {value}")
        self.site.query("SELECT pg_reload_conf()")

    def cancel_a_job(self) -> bool:
        active = self.site.query(
            "SELECT public_id FROM workflows_job WHERE finished_at IS NULL ORDER BY id LIMIT 20"
        )
        if not active:
            return False
        [job] = self.random.choice(active)
        self.cancelled.add(job)
        try:
            answer = self.site.api("alice").post(f"/ai-demo/workflow/cancel/{job}")
        except httpx.TransportError:
            return False
        return answer.status_code == 200

    def take_the_database_down(self, seconds: float) -> None:
        """Stop the server, by turns as an administrator and as a crash does; start it again."""
        assert self.postgres is not None
        mode = "immediate" if self.done["database outages"] % 2 == 0 else "fast"
        self.done["database outages"] += 1
        self.say(f"{self.age:5.0f} s  the database goes down for {seconds:g} s ({mode})")
        self.postgres.stop(mode)
        back_at = time.monotonic() + seconds
        while time.monotonic() < back_at:
            self.restart_the_dead()
            self.done["kill a worker in an outage"] += self.kill_a_worker()
            time.sleep(min(self.plan.blow_every, max(0.0, back_at - time.monotonic())))
        self.postgres.start()

    def summary(self, sender: Sender) -> list[str]:
        lost, attempts, jobs = self.site.query(
            "SELECT sum(lost), sum(attempt), count(*) FROM workflows_job"
        )[0]
        blows = ", ".join(f"{count} × {kind}" for kind, count in sorted(self.done.items()))
        self.say(
            f"seed {self.plan.seed}: {jobs} jobs in {self.age:.0f} s and {attempts} attempts, "
            f"{lost} of them lost with their worker; {sender.refused} sends sent again; "
            f"{blows}; the clusters were started {len(self.site.processes) - 1} times"
        )
        problems = []
        if sender.error:
            problems.append(f"the sender failed: {sender.error}")
        if sender.is_alive():
            problems.append("the sender hangs")
        started_again = len(self.site.processes) - 1 - len(self.clusters)
        ended = started_again + sum(not cluster.running for cluster in self.clusters)
        if ended != self.done["kill a supervisor"]:
            problems.append(f"{ended} clusters have ended, not only those that were killed")
        return problems


def works(cluster: Process) -> bool:
    return "The cluster works" in cluster.log()


def kill(pid: int) -> bool:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def audit(site: Site, sent: dict[str, Order], cancelled: set[str]) -> list[str]:
    """Check the books, and return what is wrong with them.

    Every job that was sent is there once and has ended: completed, or cancelled where that was
    asked for. Its log is gapless from 1 to ``last_seq`` and has one terminal event, the last. Every
    ledger entry is there exactly once, and its step is recorded. No session ran two jobs at once.
    """
    problems = []
    jobs = dict(site.query("SELECT public_id, state FROM workflows_job"))
    if set(jobs) != set(sent):
        problems.append(f"jobs not sent: {set(jobs) - set(sent)}, lost: {set(sent) - set(jobs)}")
    for job, state in jobs.items():
        if state != "completed" and not (state == "cancelled" and job in cancelled):
            problems.append(f"{job} is {state}")
    problems += audit_logs(site) + audit_ledger(site, jobs, sent) + audit_sessions(site)
    return problems


def audit_logs(site: Site) -> list[str]:
    """Check the logs of the jobs that have ended."""
    terminal = ", ".join(f"'{state}'" for state in TERMINAL)
    logs = site.query(
        f"""
        SELECT job.public_id, job.last_seq, count(*), min(event.seq), max(event.seq),
               count(DISTINCT event.seq),
               sum(CASE WHEN event.type IN ({terminal}) THEN 1 ELSE 0 END),
               max(CASE WHEN event.type IN ({terminal}) THEN event.seq END)
        FROM workflows_job job LEFT JOIN workflows_event event ON event.job_id = job.id
        WHERE job.finished_at IS NOT NULL
        GROUP BY job.public_id, job.last_seq
        """
    )
    return [
        f"{job}'s log of {head}: {count} events from {first} to {last}, {distinct} numbers, "
        f"{ends} terminal, at {end}"
        for job, head, count, first, last, distinct, ends, end in logs
        if (count, first, last, distinct, ends, end) != (head, 1, head, head, 1, head)
    ]


def audit_ledger(site: Site, jobs: dict[str, str], sent: dict[str, Order]) -> list[str]:
    written: dict[str, list[int]] = {job: [] for job in jobs}
    for job, step in site.query("SELECT job, step FROM ledger_entry ORDER BY id"):
        written[job].append(int(step))
    recorded: dict[str, list[int]] = {job: [] for job in jobs}
    steps = (
        "SELECT job.public_id, step.result FROM workflows_step step"
        " JOIN workflows_job job ON job.id = step.job_id ORDER BY step.id"
    )
    for job, result in site.query(steps):
        recorded[job].append(int(result))
    problems = []
    for job, state in jobs.items():
        steps_of = sent[job].steps if job in sent else 0
        wanted = list(range(1, steps_of + 1))
        if state != "completed":
            # It was stopped somewhere.
            wanted = wanted[: len(written[job])]
        if written[job] != wanted:
            problems.append(f"{job} has the entries {written[job]} instead of {wanted}")
        if recorded[job] != written[job]:
            problems.append(f"{job} has records of {recorded[job]} and entries {written[job]}")
    return problems


def audit_sessions(site: Site) -> list[str]:
    """Events have numbers in the order of their writing, over all jobs; jobs of a session, too."""
    overlaps = site.query(
        """
        SELECT first.public_id, second.public_id
        FROM workflows_job first JOIN workflows_job second
          ON first.session_id = second.session_id AND first.id < second.id
        WHERE (SELECT max(id) FROM workflows_event WHERE job_id = first.id)
            > (SELECT min(id) FROM workflows_event WHERE job_id = second.id AND type = 'started')
        """
    )
    return [f"{second} ran before {first} had ended" for first, second in overlaps]


def diagnosis(site: Site, problems: list[str]) -> str:
    """Return the problems together with what helps to understand them."""
    open_jobs = site.query(
        "SELECT public_id, state, attempt, lost, host, pid, lease_until, available_at, last_seq"
        " FROM workflows_job WHERE finished_at IS NULL ORDER BY id LIMIT 20"
    )
    warnings = [
        line
        for line in site.logs().splitlines()
        if any(word in line for word in (" ERROR ", "Error", "Traceback"))
    ]
    parts = [
        f"{len(problems)} problems:",
        *problems[:30],
        "Jobs that have not ended:",
        *map(repr, open_jobs),
        "The last errors in the logs:",
        *warnings[-30:],
    ]
    return "\n".join(parts)


def run(site: Site, plan: Plan, postgres: Postgres | None = None, say: Say = print) -> None:
    """Run the plan; fail with a diagnosis when the books don't balance."""
    problems = Chaos(site, plan, postgres, say).run()
    assert not problems, diagnosis(site, problems)


def main() -> int:
    parser = argparse.ArgumentParser(description="Let chaos rule for a while, then audit.")
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    options = parser.parse_args()
    print(f"Chaos for {options.seconds:g} s, seed {options.seed}", flush=True)
    # One outage for each two minutes, the longest of a minute.
    lengths = [1.0, 10.0, 60.0, 3.0, 30.0]
    count = max(1, int(options.seconds // 120))
    plan = Plan(
        seed=options.seed,
        seconds=options.seconds,
        sessions=200,
        outages=tuple(lengths[number % len(lengths)] for number in range(count)),
    )
    with tempfile.TemporaryDirectory(prefix="chatflow-chaos-") as folder, Postgres() as postgres:
        databases = Databases(postgres, Path(folder))
        with databases.site("postgres", extra_apps=(LEDGER,), **SETTINGS) as site:
            try:
                run(site, plan, postgres, say=lambda line: print(line, flush=True))
            except AssertionError as error:
                print(error, file=sys.stderr)
                return 1
    print("Every job ended once, every entry is there once, every log is gapless.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
