"""What the servers of a site under development say in the terminal: a line for each job's moves."""

import logging

from django.conf import settings

from chatflow.development.mistakes import find_place, summarize
from chatflow.requests import PROBES
from chatflow.wire.addresses import job_page
from chatflow.workflows.models import Job
from chatflow.workflows.running import journal, runner

# How the addresses end where the page looks for a mistake, and probes for a server.
BY_THEMSELVES = ("/chat/mistake", *PROBES)
FORMAT = "%(asctime)s %(message)s"


class JobLines(logging.Formatter):
    """Adds, to the line of a job that went wrong, the error, its place and the job's page.

    Args:
        site: the address of the site.
    """

    def __init__(self, site: str) -> None:
        super().__init__(FORMAT, datefmt="%H:%M:%S")
        self._site = site

    def format(self, record: logging.LogRecord) -> str:
        line = super().format(record)
        reason = self._find_reason(record)
        return f"{line}: {reason} {self._page(record)}".rstrip() if reason else line

    def _find_reason(self, record: logging.LogRecord) -> str:
        """Say what went wrong, and where; nothing if all is well."""
        if traceback := getattr(record, "traceback", ""):
            place = find_place(traceback)
            return summarize(traceback) + (f" at {place}" if place else "")
        return str(getattr(record, "error", ""))

    def _page(self, record: logging.LogRecord) -> str:
        job: Job | None = getattr(record, "job", None)
        page = "" if job is None else job_page(job.pk)
        return page and self._site + page


def show_jobs(site: str) -> None:
    """Show the journal, in the place of tracebacks; hide the requests for static files.

    Args:
        site: the address of the site.
    """
    shown = logging.StreamHandler()
    shown.setFormatter(JobLines(site))
    journal.logger.handlers = [shown]
    journal.logger.propagate = False
    journal.logger.setLevel(logging.INFO)
    runner.logger.addFilter(is_not_in_journal)
    # That a cluster stops, and another one works, is what a reload is.
    logging.getLogger("chatflow.workflows.cluster.supervisor").setLevel(logging.WARNING)
    logging.getLogger("uvicorn.access").addFilter(is_asked_by_somebody)


def is_not_in_journal(record: logging.LogRecord) -> bool:
    """Say whether a record of the runner's tells more than the journal's line does."""
    return record.exc_info is None and record.levelno > logging.INFO


def is_asked_by_somebody(record: logging.LogRecord) -> bool:
    """Say whether uvicorn's record is about something other than what a page asks for by itself.

    That is a static file, or the mistake of the last edit; or a probe's, by which the parent sees
    that the server is up. Unless it was refused.
    """
    match record.args:
        case (_, _, str(path), _, int(status)):
            asked = path.partition("?")[0]
            by_itself = settings.STATIC_URL in asked or asked.endswith(BY_THEMSELVES)
            return not by_itself or status >= 400
    return True
