"""Invoices made in a conversation: the example of a workflow that asks, edits and saves."""
