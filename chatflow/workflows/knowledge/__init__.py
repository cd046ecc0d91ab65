"""What documents know: read, cut into chunks, searched by full text and by meaning.

The way in is ``ingest``, the admin and the API; the way out is ``Context.search``. Text of a
document is data: it is never trusted as HTML, and reaches a prompt only quoted (``prompting``).
"""
