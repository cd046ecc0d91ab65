"""The metrics: whether they are kept, and who may read them."""

from collections.abc import Iterator

from django.urls import NoReverseMatch, reverse

from chatflow.conf import conf
from chatflow.doctor.findings import Finding, Visit, note, ok
from chatflow.workflows.metrics.folder import NoFolder, make_folder


def look(visit: Visit) -> Iterator[Finding]:
    """Look at the folder of what the processes count, and at the token."""
    try:
        folder = make_folder()
    except NoFolder as error:
        yield note(
            f"Nothing is counted for /metrics: {error}.",
            "It tells how full the queues are, but no durations, tokens or costs.",
            "METRICS_DIR=/run/chatflow, a folder that the web processes and the cluster share",
        )
    else:
        alive = len(list(folder.glob("*.alive")))
        who = "1 process counts" if alive == 1 else f"{alive} processes count"
        yield ok(f"{who} in {folder}.")
    if not conf.METRICS_TOKEN and _is_included():
        yield note(
            "/metrics asks for no token.",
            "Whoever reaches it reads how much there is to do, and the names of workflows and"
            " models.",
            "Let the proxy refuse it, as deploy/nginx.conf does; or METRICS_TOKEN=<a long random"
            " word>",
        )


def _is_included() -> bool:
    """Say whether the project has the address."""
    try:
        reverse("metrics")
    except NoReverseMatch:
        return False
    return True
