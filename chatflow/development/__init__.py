"""What ``manage.py dev`` and ``make demo`` do: run the site, and replace it by new code at an edit.

The parent process loads nothing of the project, so that no mistake in it can end the parent. Only
``web.py`` and ``terminal.py`` belong to its children.
"""

# The environment variable in which the children find the site's address, with its prefix.
SITE = "CHATFLOW_SITE"


class SiteFailed(Exception):
    """Something that the person at the terminal can read and mend."""
