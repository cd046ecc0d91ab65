"""What the staff did: the one table of the operator's room."""

from typing import Any, ClassVar, NoReturn

from django.db import models
from django.utils import timezone

# Characters that are kept of a name: as many as an e-mail address has at most.
NAME_LENGTH = 254
# Of the word for an act.
ACT_LENGTH = 100


class Mark(models.Model):
    """How far retention has come, of jobs and of messages; see services/redaction.py."""

    what = models.CharField(max_length=20, primary_key=True)
    upto = models.BigIntegerField(default=0)
    # Keys up to there that are still to be done.
    later = models.JSONField(default=list)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.what}: {self.upto}"


class Stands(Exception):
    """An act on record was to be changed or removed."""

    def __init__(self) -> None:
        super().__init__("An act on record is neither changed nor removed.")


class ActQuerySet(models.QuerySet["Act"]):
    """Rows to read. The database refuses too what is refused here: see append_only.py."""

    def update(self, **kwargs: Any) -> NoReturn:
        raise Stands

    def delete(self) -> NoReturn:
        raise Stands

    def bulk_update(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise Stands


class Act(models.Model):
    """One thing that a member of the staff did. Rows are only ever added, by audit.record().

    Nobody is pointed to: a row outlives the account of who did it, and what it was done to. Of
    that it has the key alone and no name, so that nothing here tells of a person who was deleted.
    """

    at = models.DateTimeField(default=timezone.now)
    # Their key as text, whatever type it has; empty for who has no account here.
    who_key = models.CharField(max_length=NAME_LENGTH, blank=True)
    who = models.CharField(max_length=NAME_LENGTH)
    # An IP address, or the machine of a terminal.
    origin = models.CharField(max_length=NAME_LENGTH, blank=True)
    act = models.CharField(max_length=ACT_LENGTH)
    # Such as chatflow_workflows.job, and its public id, or its key where it has none.
    target_type = models.CharField(max_length=200, blank=True)
    target_id = models.CharField(max_length=NAME_LENGTH, blank=True)
    outcome = models.TextField(blank=True)
    why = models.TextField(blank=True)

    objects = ActQuerySet.as_manager()

    class Meta:
        indexes: ClassVar = [
            # The log's page, by each of its filters; and retention.
            models.Index(fields=["at"], name="chatflow_act_at"),
            models.Index(fields=["who", "id"], name="chatflow_act_who"),
            models.Index(fields=["act", "id"], name="chatflow_act_act"),
            # acts_on(): those of a job's page.
            models.Index(fields=["target_id", "target_type", "id"], name="chatflow_act_target"),
        ]
        # Nobody adds, changes or deletes one by hand.
        default_permissions = ("view",)
        # Of the whole room: permissions need a model to stand with.
        permissions: ClassVar = [
            ("read_texts", "Can read what users and models wrote"),
            ("manage_persons", "Can export and delete all data of a person"),
        ]

    def __str__(self) -> str:
        return f"{self.who}: {self.act}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise Stands
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise Stands
