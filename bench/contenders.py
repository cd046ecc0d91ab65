"""Queues on PostgreSQL whose two workers run jobs that do nothing: Chatflow's, its peers'.

The workers are processes; each queue is filled by one process more.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import psycopg

from bench import environments
from bench.processes import ROOT, Program
from bench.site import Site, python
from tests.servers import Postgres

# Seconds at most until the first job is done, and from then to the last.
START = 60.0
LONGEST = 120.0
# Jobs that show that both workers are up.
WARM_UP = 20


@dataclass(frozen=True, kw_only=True)
class Contender:
    """A queue with two workers.

    Args:
        database_url: where its jobs are.
        done: SQL that counts the jobs that were ever done, successfully.
        filler: the command of the process that fills it, but for the number of jobs. The last line
            that it prints is the moment at which it began, by ``time.monotonic()``.
        workers: makes the processes of the workers.
        environment: added to that of these processes.
    """

    database_url: str
    done: str
    filler: list[str]
    workers: Callable[[], list[Program]]
    environment: dict[str, str]

    def drain(self, count: int) -> float:
        """Fill the queue, then start the workers; return the jobs/s from the first that is done."""
        with self._open_counter() as done:
            before = done()
            self._fill(count).communicate()
            with self._run_workers():
                first, began = watch(done, before + 1, START)
                last, ended = watch(done, before + count, LONGEST)
        return (last - first) / (ended - began)

    def enqueue_to_completed(self, count: int) -> float:
        """Fill the queue of idle workers; return the jobs/s from the first enqueued to the last
        completed."""
        with self._open_counter() as done, self._run_workers():
            before = done()
            self._fill(WARM_UP).communicate()
            watch(done, before + WARM_UP, START)
            filler = self._fill(count)
            _, ended = watch(done, before + WARM_UP + count, START + LONGEST)
            printed, _ = filler.communicate()
        return count / (ended - float(printed.split()[-1]))

    def _fill(self, count: int) -> subprocess.Popen[str]:
        settings = [f"{name}={value}" for name, value in self.environment.items()]
        command = ["/usr/bin/env", *settings, *self.filler, str(count)]
        return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)

    @contextmanager
    def _run_workers(self) -> Iterator[None]:
        with ExitStack() as stack:
            for worker in self.workers():
                stack.enter_context(worker)
            yield

    @contextmanager
    def _open_counter(self) -> Iterator[Callable[[], int]]:
        with psycopg.connect(self.database_url, autocommit=True) as connection:

            def done() -> int:
                row = connection.execute(self.done.encode()).fetchone()
                assert row is not None
                return int(row[0])

            yield done


def watch(done: Callable[[], int], enough: int, seconds: float) -> tuple[int, float]:
    """Poll until enough jobs are done; return how many are, and that moment."""
    deadline = time.monotonic() + seconds
    while (count := done()) < enough:
        assert time.monotonic() < deadline, f"Only {count} of {enough} jobs were done."
        time.sleep(0.01)
    return count, time.monotonic()


def chatflow(site: Site) -> Contender:
    return Contender(
        database_url=site.database_url,
        # By the index of terminal events: a job's row was written three times, and to read all of
        # that among a million others takes a fifth of a processor.
        done="SELECT count(*) FROM workflows_event WHERE type IN"
        " ('completed', 'failed', 'timeout', 'cancelled') AND data ->> 'response' = 'Done.'"
        f" AND job_id > {site.inside('last_job')}",
        filler=[sys.executable, "-m", "bench.inside", "enqueue"],
        workers=lambda: [site.cluster(wait=False)],
        environment=site.environment,
    )


def stock_q2(postgres: Postgres, database: str = "stock_q2") -> Contender:
    environment = {
        "DATABASE_URL": postgres.create_database(database),
        "DJANGO_SETTINGS_MODULE": "bench.peers.stock_q2.settings",
        "PYTHONWARNINGS": "ignore",
    }
    python("-m", "django", "migrate", "--verbosity=0", environment=environment)

    def cluster() -> Program:
        return Program("-m", "django", "qcluster", environment=environment, ready=lambda: True)

    return Contender(
        database_url=environment["DATABASE_URL"],
        # It keeps the rows of 250 successes; but a row of its queue goes when its task has run.
        done="SELECT coalesce(last_value, 0) - (SELECT count(*) FROM django_q_ormq)"
        " FROM pg_sequences WHERE sequencename = 'django_q_ormq_id_seq'",
        filler=[sys.executable, "-m", "bench.peers.stock_q2.tasks"],
        workers=lambda: [cluster()],
        environment=environment,
    )


def dbos(postgres: Postgres) -> Contender:
    peer = ROOT / "bench" / "peers" / "dbos_noop.py"
    its_python = environments.python_with(peer.with_suffix(".txt"))
    environment = {"DATABASE_URL": postgres.create_database("dbos")}
    # The first process makes its tables.
    python(str(peer), "enqueue", "0", environment=environment, program=its_python)

    def worker() -> Program:
        return Program(
            str(peer), "work", environment=environment, ready=lambda: True, program=its_python
        )

    return Contender(
        database_url=environment["DATABASE_URL"],
        done="SELECT count(*) FROM dbos.workflow_status WHERE status = 'SUCCESS'",
        filler=[its_python, str(peer), "enqueue"],
        workers=lambda: [worker(), worker()],
        environment=environment,
    )
