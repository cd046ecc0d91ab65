"""All checks, in the order in which one mends what they find."""

from collections.abc import Iterator

from django.db import Error as DatabaseError

from chatflow.doctor import (
    cluster,
    configuration,
    connections,
    database,
    doorbell,
    limits,
    models,
    pooler,
    proxies,
    static_files,
    watching,
)
from chatflow.doctor.findings import Check, Finding, Visit, problem, unknown
from chatflow.workflows.exceptions import first_line

CHECKS: dict[str, Check] = {
    "settings": configuration.look,
    "database": database.look,
    "connections": connections.look,
    "pooler": pooler.look,
    "doorbell": doorbell.look,
    "cluster": cluster.look,
    "models": models.look,
    "limits": limits.look,
    "static files": static_files.look,
    "watching": watching.look,
    "proxies": proxies.look,
}


def examine(visit: Visit) -> Iterator[tuple[str, Finding]]:
    """Yield what each check finds, under its name; one that fails stops none of the others."""
    for name, check in CHECKS.items():
        try:
            for finding in check(visit):
                yield name, finding
        except DatabaseError as error:
            yield name, unknown(f"The database didn't let it be looked at: {first_line(error)}")
        except Exception as error:
            yield (
                name,
                problem(
                    f"The check itself failed: {type(error).__name__}: {first_line(error)}",
                    "What it would have found is not known.",
                    "Report it, with the output of manage.py doctor --json.",
                ),
            )
