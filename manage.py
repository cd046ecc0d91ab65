#!/usr/bin/env python
"""Django's command-line utility for administrative tasks."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chatflow.settings")
    from django.core.management import execute_from_command_line

    from chatflow.startup import describe, tell_in_threads

    tell_in_threads("manage.py")
    try:
        execute_from_command_line(sys.argv)
    except Exception as error:
        told = describe(error)
        if told is None:
            raise
        sys.exit(f"manage.py: {told}")


if __name__ == "__main__":
    main()
