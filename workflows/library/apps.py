from django.apps import AppConfig


class LibraryConfig(AppConfig):
    name = "workflows.library"
    label = "library"
