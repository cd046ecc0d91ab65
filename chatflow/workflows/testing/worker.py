"""A worker in the test's own thread: it claims jobs and runs them, and dies where it is told to."""

from chatflow.workflows.exceptions import AttemptLost
from chatflow.workflows.models import Job
from chatflow.workflows.running import runner
from chatflow.workflows.store import lifecycle
from chatflow.workflows.store.lifecycle import Worker

ME = Worker("me", host="here")


def claim() -> Job | None:
    """Take the next job, a plain one first."""
    plain = lifecycle.claim((), ME, is_async=False)
    return plain or lifecycle.claim((), ME, is_async=True)


def run_waiting() -> None:
    """Run what can be run now, one attempt of each job after the other."""
    while (job := claim()) is not None:
        runner.run(job, interruptible=False)


def lose_worker() -> None:
    """Take back what this worker had claimed, as if it had died."""
    assert lifecycle.reap_worker(ME.id), "A job can't be taken back: its row is locked."


class Crashes:
    """A worker that dies once at each place where it is told to.

    A lost lease is as near to a kill as a test comes: the attempt writes nothing more.
    """

    def __init__(self, *places: str) -> None:
        self.places = list(places)

    def is_due(self, place: str) -> bool:
        """Say whether it is to die at *place*, for the first time."""
        if place not in self.places:
            return False
        self.places.remove(place)
        return True

    def at(self, place: str) -> None:
        """Die, if it is to die here."""
        if self.is_due(place):
            raise AttemptLost
