"""What ``manage.py dev`` and ``make demo`` do: run the site, and replace it by new code at an edit.

The parent process loads nothing of the project, so that no mistake in it can end the parent. Only
``web.py`` and ``terminal.py`` belong to its children, which read what ``note.py`` writes.
"""

# The environment variable in which the children find the site's address, with its prefix.
SITE = "CHATFLOW_SITE"
# And that in which they find the file with the mistake of the last edit.
MISTAKE = "CHATFLOW_MISTAKE"


class SiteFailed(Exception):
    """Something that the person at the terminal can read and mend."""
