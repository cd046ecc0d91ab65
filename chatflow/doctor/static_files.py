"""The pages' files: whether they are where they are served from."""

from collections.abc import Iterator
from pathlib import Path

from django.apps import apps
from django.conf import settings
from django.contrib.staticfiles import finders

from chatflow.doctor.findings import Finding, Visit, note, ok, problem

# A file of the chat page's.
PAGE = "chatflow/js/built/chat-page.js"
STATIC_FILES = "django.contrib.staticfiles"


def look(visit: Visit) -> Iterator[Finding]:
    """Look for a file of ours, and whether what was collected is what is installed."""
    if not apps.is_installed(STATIC_FILES):
        return
    source = finders.find(PAGE)
    if source is None:
        yield problem(
            f"{PAGE} is in no app's folder.",
            "The chat page stays empty.",
            'INSTALLED_APPS = [*APPS, …] with "django.contrib.staticfiles", whose'
            " STATICFILES_FINDERS find the files of apps",
        )
        return
    if not settings.STATIC_ROOT:
        yield _look_at_folders()
        return
    collected = Path(settings.STATIC_ROOT) / PAGE
    if not collected.exists() or collected.read_bytes() != Path(source).read_bytes():
        how = "an older version's" if collected.exists() else "missing"
        yield problem(
            f"{collected} is {how}.",
            "The server in front sends what was collected; pages and scripts don't fit together.",
            "manage.py collectstatic --noinput, after each upgrade",
        )
    else:
        yield ok(f"{settings.STATIC_ROOT} has this version's.")


def _look_at_folders() -> Finding:
    # WhiteNoise's, which this checkout has.
    if getattr(settings, "WHITENOISE_USE_FINDERS", False):
        return ok("They are served straight from the apps' folders.")
    return note(
        "STATIC_ROOT isn't set: runserver serves the pages' files, and other servers don't.",
        "The chat page stays without its scripts there.",
        'STATIC_ROOT = BASE_DIR / "static", and manage.py collectstatic for the server in front',
    )
