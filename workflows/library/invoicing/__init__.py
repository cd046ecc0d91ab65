"""Invoices made in a conversation: the bundled example of a workflow that asks, edits and saves."""
