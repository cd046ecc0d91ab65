"""The streams of this process: who listens, and what there is for them."""

from chatflow.workflows.loading import deferred

# What it has of Pushpin, which nobody here speaks to, brings requests along: 0.1 s of each start.
with deferred("gripcontrol"), deferred("jwt"):
    import django_eventstream  # noqa: F401
