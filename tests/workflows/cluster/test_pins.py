"""What is leaned on inside of django-q2, and of Django itself.

Each test names one thing. When an upgrade fails one, look at who leans on it (the docstring says),
adapt that, and then the pin.
"""

import ast
import inspect
import signal
from importlib.metadata import version
from pathlib import Path
from typing import Any

import django_q.cluster
import django_q.monitor
import django_q.scheduler
import django_q.signals
import django_q.worker
import pytest
from django.core.management import get_commands
from django.db import connection
from django_q import brokers, core_signing, signing
from django_q.brokers.orm import ORM
from django_q.conf import Conf
from django_q.models import OrmQ


def parameters(function: Any) -> list[str]:
    return list(inspect.signature(function).parameters)


def source(thing: Any) -> str:
    """Return the source as Python itself would write it: without comments and odd spaces."""
    return ast.unparse(ast.parse(inspect.cleandoc("\n" + inspect.getsource(thing))))


def attributes_set(cls: Any) -> set[str]:
    """Return the attributes that ``__init__`` gives to ``self``."""
    return {
        target.attr
        for node in ast.walk(ast.parse(inspect.cleandoc("\n" + inspect.getsource(cls.__init__))))
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Attribute)
    }


def test_version() -> None:
    """The facts below were read in this one."""
    assert version("django-q2") == "1.11.1"
    assert "django-q2==1.11.1" in (Path(__file__).parents[3] / "requirements.txt").read_text()


# django-q2: the sentinel. cluster.supervisor.Supervisor is one without its __init__.


def test_sentinel_spawn_worker() -> None:
    """The supervisor's own spawn_worker() calls it, and makes what it needs."""
    assert parameters(django_q.cluster.Sentinel.spawn_worker) == ["self"]
    assert source(django_q.cluster.Sentinel.spawn_worker) == (
        "def spawn_worker(self):\n"
        "    self.spawn_process(worker, self.task_queue, self.result_queue, Value('f', -1), "
        "self.timeout)"
    )


def test_sentinel_spawn_process() -> None:
    """It forks, gives the process its timer, and puts it into the pool."""
    assert parameters(django_q.cluster.Sentinel.spawn_process) == ["self", "target", "args"]
    code = source(django_q.cluster.Sentinel.spawn_process)
    for line in (
        "p = get_mp_context().Process(target=target, args=args",
        "p.daemon = Conf.DAEMONIZE_WORKERS",
        "p.timer = args[2]",
        "self.pool.append(p)",
        "p.start()",
    ):
        assert line in code
    assert set(_selfs(code)) == {"pool"}


def _selfs(code: str) -> list[str]:
    return [
        node.attr
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "self"
    ]


def test_workers_are_forked() -> None:
    """The fetcher, the signal and the database settings are inherited, not pickled."""
    assert django_q.cluster.get_mp_context().get_start_method() == "fork"


# django-q2: the worker's loop. Fetcher and Results stand in for its queues.


def test_worker() -> None:
    assert parameters(django_q.worker.worker) == ["task_queue", "result_queue", "timer", "timeout"]


def test_worker_uses_nothing_else_of_its_queues() -> None:
    """Fetcher has get(), Results has put()."""
    used = {
        (node.value.id, node.attr)
        for node in ast.walk(ast.parse(source(django_q.worker.worker)))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id in {"task_queue", "result_queue"}
    }

    assert used == {("task_queue", "get"), ("result_queue", "put")}


@pytest.mark.parametrize(
    "line",
    [
        # It announces itself before its first task: there the signal handlers are installed.
        "post_spawn.send(sender='django_q', proc_name=proc_name)",
        # "STOP" ends it.
        "for task in iter(task_queue.get, 'STOP'):",
        # A function may stand in a task as it is.
        "f = task['func']",
        "if not callable(f):",
        # -1 is no timeout.
        "timer_value = task.pop('timeout', timeout)",
        "with TimeoutHandler(timer_value):",
        "res = f(*task['args'], **task['kwargs'])",
        # An interruption of the watchdog's is neither, and passes.
        "except (Exception, TimeoutException) as e:",
        "result_queue.put(task)",
        # What the supervisor reads: 0 is a timeout, -1 idle, -2 recycled.
        "timer.value = 0",
        "timer.value = -1",
        "timer.value = -2",
        "task_count == Conf.RECYCLE",
    ],
)
def test_worker_loop(line: str) -> None:
    assert line in source(django_q.worker.worker)


def test_the_line_for_each_task() -> None:
    """The supervisor has its workers word it without a translation."""
    code = source(django_q.worker.worker)

    assert "task_desc = _(\"%(proc_name)s processing %(task_name)s '%(func_name)s'\") % {" in code
    assert str(django_q.worker._("%(task_name)s")) == "%(task_name)s"


def test_post_spawn_comes_before_the_first_task() -> None:
    code = source(django_q.worker.worker)

    assert code.index("post_spawn.send") < code.index("iter(task_queue.get")


def test_no_timeout() -> None:
    """A job's package says -1: the watchdog minds the deadline."""
    with django_q.worker.TimeoutHandler(-1):
        assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


# django-q2: what saves the results of ordinary tasks.


def test_monitor() -> None:
    """Results.put() gives it a queue of one result; it saves and acknowledges that, and returns."""
    assert parameters(django_q.monitor.monitor) == ["result_queue", "broker"]
    code = source(django_q.monitor.monitor)
    assert "for task in iter(result_queue.get, 'STOP'):" in code
    assert "save_task(task, broker)" in code
    assert "broker.acknowledge(ack_id)" in code
    assert "result_queue.put" not in code


def test_scheduler() -> None:
    """The supervisor calls it; its rows are locked, so that one cluster of several runs one."""
    assert parameters(django_q.scheduler.scheduler) == ["broker"]
    assert "select_for_update()" in source(django_q.scheduler.scheduler)


# django-q2: the broker. chatflow.workflows.cluster.broker.JobBroker is an ORM broker.


def test_orm_broker() -> None:
    assert parameters(ORM.enqueue) == ["self", "task"]
    assert parameters(ORM.dequeue) == ["self"]
    assert parameters(ORM.timeout) == ["self", "task"]
    assert parameters(ORM.acknowledge) == ["self", "task_id"]
    assert "timezone.now() + timedelta(seconds=Conf.RETRY)" in source(ORM.timeout)
    assert "lock=timezone.now()" in source(ORM.enqueue)


def test_messages() -> None:
    assert {"key", "payload", "lock"} <= {field.name for field in OrmQ._meta.fields}


@pytest.mark.django_db
def test_get_broker() -> None:
    """Ours, because Q_CLUSTER names it."""
    assert parameters(brokers.get_broker) == ["list_key"]
    assert type(brokers.get_broker()).__name__ == "JobBroker"


def test_signing() -> None:
    """fetch.unpack() reads with fallback keys what SignedPackage has signed."""
    assert parameters(core_signing.loads)[:3] == ["s", "key", "salt"]
    code = source(signing.SignedPackage.loads)
    assert "key=Conf.SECRET_KEY, salt=Conf.PREFIX, serializer=PickleSerializer" in code
    assert issubclass(signing.BadSignature, Exception)


@pytest.mark.parametrize(
    "name",
    ["WORKERS", "TIMEOUT", "RETRY", "ORM", "PREFIX", "RECYCLE", "DAEMONIZE_WORKERS", "SECRET_KEY"],
)
def test_conf(name: str) -> None:
    assert hasattr(Conf, name)


def test_conf_reads_our_settings(settings: Any) -> None:
    wanted = settings.Q_CLUSTER

    assert (
        wanted["workers"],
        wanted["timeout"],
        wanted["retry"],
    ) == (Conf.WORKERS, Conf.TIMEOUT, Conf.RETRY)
    assert ("default", "chatflow", wanted["recycle"]) == (Conf.ORM, Conf.PREFIX, Conf.RECYCLE)


def test_the_command_is_ours() -> None:
    """chatflow.workflows.cluster stands above django_q in INSTALLED_APPS."""
    assert get_commands()["qcluster"] == "chatflow.workflows.cluster"


# Django. fetch.run_job() says that the connection was asked just now whether it lives.


@pytest.mark.django_db
@pytest.mark.parametrize(("marked", "asks"), [(False, 1), (True, 0)])
def test_health_check_done(marked: bool, asks: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """django-q2 has the connection looked at before each task; the mark spares the query for it."""
    own = connection.copy()
    asked: list[str] = []

    def is_usable() -> bool:
        asked.append("SELECT 1")
        return True

    monkeypatch.setattr(own, "is_usable", is_usable)
    own.settings_dict = {**own.settings_dict, "CONN_HEALTH_CHECKS": True}
    try:
        own.connect()
        own.close_if_unusable_or_obsolete()
        assert own.health_check_done is False  # type: ignore[attr-defined]
        if marked:
            own.health_check_done = True  # type: ignore[attr-defined]
        with own.cursor() as cursor:
            cursor.execute("SELECT 1")
    finally:
        own.close()

    assert len(asked) == asks


def test_django_q_has_the_connection_checked() -> None:
    """Before each task, and so behind the claim that a worker took it with."""
    code = source(django_q.worker.worker)
    assert code.index("iter(task_queue.get") < code.index("close_old_django_connections()")
