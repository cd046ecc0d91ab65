"""django-q2's ORM broker, for tasks that are no workflows (``async_task()``, schedules)."""

from django.db.models.expressions import RawSQL
from django_q.brokers.orm import ORM
from django_q.conf import Conf
from django_q.models import OrmQ

from chatflow.workflows.bells import get_bell
from chatflow.workflows.db import atomic
from chatflow.workflows.store.database import get_database


class JobBroker(ORM):  # type: ignore[misc]
    """The ORM broker, with a doorbell, in order, and by the database's clock."""

    def enqueue(self, task: str) -> int:
        """Store a task's message and ring, in the caller's transaction."""
        with atomic():
            pk: int = super().enqueue(task)
            OrmQ.objects.using(Conf.ORM).filter(pk=pk).update(lock=_now())
            get_bell().ring("due", 0)
        return pk

    def dequeue(self) -> list[tuple[int, str]]:
        """Take the oldest message that is due, without waiting for one.

        Returns:
            At most one pair of the message's key and its signed payload.
        """
        due = OrmQ.objects.using(Conf.ORM).filter(key=self.list_key, lock__lte=_now())
        for message in due.order_by("id")[:10]:
            mine = OrmQ.objects.using(Conf.ORM).filter(pk=message.pk, lock=message.lock)
            if mine.update(lock=_now(Conf.RETRY)):
                return [(message.pk, message.payload)]
        return []


def _now(offset: float = 0) -> RawSQL:
    return RawSQL(get_database().now(offset), [])
