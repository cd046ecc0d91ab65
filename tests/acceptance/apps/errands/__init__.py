"""A project whose tasks the cluster runs."""
