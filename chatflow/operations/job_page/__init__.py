"""A job's page in the admin: what happened, what its user saw, and what can be done about it."""
