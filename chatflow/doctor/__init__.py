"""What is wrong with an installation, why that matters, and what to write or do.

One file for each part of it. A check is a function that takes the Visit and yields findings;
``CHECKS`` in rounds.py lists them all.
"""
