"""How a page of the staff's hears that a job goes on: by the job's own stream."""

from datetime import timedelta

from django.urls import NoReverseMatch, reverse
from django.utils import timezone

from chatflow.conf import conf
from chatflow.workflows.models import Job

# For how long a link to a stream is good: a page that looks again brings a new one.
LINK_AGE = timedelta(minutes=10)


def stream_address(job: Job) -> str:
    """Return the path of a job's own stream, by a link that is good for a few minutes.

    Whoever has it reads the job's words. Empty where nothing more will come, or the site has no
    streams.
    """
    if job.is_finished:
        return ""
    try:
        address = reverse("chatflow:stream", args=[job.public_id])
    except NoReverseMatch:
        return ""
    # Its age counts from when it was issued.
    issued = timezone.now() - timedelta(seconds=conf.STREAM_LINK_TTL) + LINK_AGE
    # It loads the HTTP edge, which the admin of a cluster does without.
    from chatflow.auth import sign_link

    return f"{address}?token={sign_link(job, min(issued, timezone.now()))}"
