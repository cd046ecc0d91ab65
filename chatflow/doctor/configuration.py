"""The settings: Django's own checks, those for deployment too, and ours."""

from collections.abc import Iterator

from django.conf import settings
from django.core import checks

from chatflow.doctor.findings import Finding, Visit, note, ok, problem

# What nginx does in front of the site, or is the owner's to decide; docs/deploy.md.
DECIDED = ("security.W004", "security.W008")


# What to write, where Django names several settings.
MENDS = {
    "security.W009": "SECRET_KEY=<what python -c 'import secrets; print(secrets.token_urlsafe(64))'"
    " prints>",
    "security.W012": "SECURE_COOKIES=true, once the site is reached by https",
    "security.W016": "SECURE_COOKIES=true, once the site is reached by https",
}


def look(visit: Visit) -> Iterator[Finding]:
    """Run what ``manage.py check --deploy`` runs."""
    if settings.DEBUG:
        yield problem(
            "DEBUG is on.",
            "Whoever meets an error sees the code and the settings, and memory grows with each"
            " query.",
            "DEBUG=false",
        )
    found = [
        message
        for message in checks.run_checks(include_deployment_checks=True)
        if not message.is_silenced() and message.id not in DECIDED
    ]
    for message in found:
        what = f"{message.msg} ({message.id})"
        tell = problem if message.is_serious() else note
        yield tell(
            what,
            "Django's own check of the settings says so.",
            message.hint or MENDS.get(str(message.id), ""),
        )
    if not found:
        yield ok("manage.py check --deploy finds nothing that isn't yours to decide.")
