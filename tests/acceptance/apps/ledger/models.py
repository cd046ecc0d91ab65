from typing import ClassVar

from django.db import models


class Entry(models.Model):
    """Says that a step of a job ran. Nothing is unique on purpose: what ran twice is here twice."""

    job = models.CharField(max_length=41)
    step = models.CharField(max_length=50)
    attempt = models.PositiveIntegerField()
    pid = models.PositiveIntegerField()

    objects: ClassVar[models.Manager["Entry"]] = models.Manager()

    def __str__(self) -> str:
        return f"{self.job} {self.step}"
