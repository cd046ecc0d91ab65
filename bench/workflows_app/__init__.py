"""The workflows that are measured, as a Django app for EXTRA_APPS."""
