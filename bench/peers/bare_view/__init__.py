"""A Django project of one DRF view, which asks the database as often as a sync send does."""
