"""The costs of Chatflow, measured beside those of its peers in the same run: ``make bench``.

Real PostgreSQL, real uvicorn, real clusters. docs/performance.md explains each figure.
"""
