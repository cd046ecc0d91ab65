"""The site's settings with one of the user models of this app."""

import os

from chatflow.settings import *  # noqa: F403
from chatflow.settings import DATABASES, INSTALLED_APPS

AUTH_USER_MODEL = os.environ["PEOPLE_MODEL"]
INSTALLED_APPS = ["tests.people", *INSTALLED_APPS]
# Beside the database of the tests that run these.
DATABASES["default"]["TEST"] = {"NAME": f"test_{AUTH_USER_MODEL.lower().replace('.', '_')}"}
