"""Streams for any project's ASGI application.

In the project's asgi.py::

    from chatflow.web import with_streams

    application = with_streams(get_asgi_application())
"""

from chatflow.wire.asgi_types import Application, Foreign


def with_streams(application: Foreign) -> Application:
    """Return *application* with Chatflow's streams in front of it.

    Args:
        application: any ASGI application that Django's is, or is inside of; Django must be set up,
            as get_asgi_application() does.

    Returns:
        An ASGI application. It answers the streams, on the event loop; all else, websockets and
        the lifespan among it, goes to *application*.
    """
    # It reaches the models, which can't be imported before Django is set up.
    from chatflow.serving.front import Front

    return Front(application)
