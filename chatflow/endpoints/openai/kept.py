"""A response's job: found by the response's id, with what its client said of it in its options."""

from rest_framework.request import Request

from chatflow.dialects.ids import hex_of
from chatflow.endpoints import speaking
from chatflow.workflows.exceptions import JobNotFound
from chatflow.workflows.models import NOTES, Job


def own(request: Request, response_id: str) -> Job:
    """Return the job of a response of the user's.

    Raises:
        JobNotFound: there is none of that id, or it was deleted.
    """
    if not response_id.startswith("resp_"):
        raise JobNotFound
    job = speaking.own_job(request, response_id.removeprefix("resp_"))
    if (job.options.get(NOTES) or {}).get("deleted") == job.public_id:
        raise JobNotFound
    return job


def id_of(job: Job) -> str:
    """Return the id of a job's response."""
    return f"resp_{hex_of(job.public_id)}"


def delete(job: Job) -> None:
    """Let the response not be found any more; the job itself stays."""
    # A job that does the work of this one again is given the same options.
    notes = {**(job.options.get(NOTES) or {}), "deleted": job.public_id}
    Job.objects.filter(pk=job.pk).update(options={**job.options, NOTES: notes})
