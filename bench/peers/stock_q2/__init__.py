"""A Django project with django-q2 as it comes, but for the number of workers."""
