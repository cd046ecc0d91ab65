"""What Chatflow costs, measured beside its peers in the same run: ``make bench``.

Real PostgreSQL, real uvicorn, real clusters. docs/performance.md says what each figure means.
"""
