"""Ledgers, in which a step that ran twice shows, and workflows that put the cluster to the test."""
