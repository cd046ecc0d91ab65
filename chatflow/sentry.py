"""What Sentry is told of an error: where, in which job and request, and nobody's words.

Where ``SENTRY_DSN`` is set, this site's settings start the SDK with these options. Another project
does so itself::

    sentry_sdk.init(dsn="…", **chatflow.sentry.OPTIONS)

A workflow's exception is reported once, by the line that the log has of it. What a workflow says
has failed, as a WorkflowError, is no error of the code, and isn't reported.
"""

from typing import Any

from chatflow.workflows import logs

# In the place of what an exception says in a job: it may quote whoever it worked for.
HIDDEN = "See the job's page."
# Of a request.
KEPT = ("method", "url", "env")

Event = dict[str, Any]


def tell(event: Event, hint: Event) -> Event:
    """Put the ids of what is being done on an event, and take words out of it.

    Args:
        event: as the SDK has made it.
        hint: what it made it of.
    """
    ids = logs.told()
    user = ids.pop("user", None)
    event.setdefault("tags", {}).update({name: str(value) for name, value in ids.items()})
    event["user"] = {} if user is None else {"id": str(user)}
    if "request" in event:
        event["request"] = {name: value for name, value in event["request"].items() if name in KEPT}
    event.pop("extra", None)
    # They are lines of the log before this one, queries among them.
    event.pop("breadcrumbs", None)
    for each in (event.get("exception") or {}).get("values", ()):
        if "job" in ids:
            each["value"] = HIDDEN
        for frame in (each.get("stacktrace") or {}).get("frames", ()):
            frame.pop("vars", None)
    return event


OPTIONS: dict[str, Any] = {
    "before_send": tell,
    "send_default_pii": False,
    "include_local_variables": False,
    "max_request_body_size": "never",
}
