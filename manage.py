#!/usr/bin/env python
"""Django's command-line utility for administrative tasks."""

import gc
import os
import sys


def main() -> None:
    # Until all is loaded: see Utility.
    gc.disable()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chatflow.settings")
    from chatflow.startup import Utility, describe, tell_in_threads

    tell_in_threads("manage.py")
    try:
        Utility(sys.argv).execute()
    except Exception as error:
        told = describe(error)
        if told is None:
            raise
        sys.exit(f"manage.py: {told}")


if __name__ == "__main__":
    main()
