from django.apps import AppConfig


class LibraryConfig(AppConfig):
    name = "chatflow.workflows.library"
    label = "chatflow_library"
