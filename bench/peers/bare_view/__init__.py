"""A Django project of one DRF view, which queries the database as often as a sync send does."""
