"""The web server of a site under development, on sockets that its parent holds.

``python -m chatflow.development.web APPLICATION FD… [--standby]``
"""

import argparse
import logging
import socket

import uvicorn


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("application")
    parser.add_argument("descriptors", type=int, nargs="+")
    parser.add_argument("--standby", action="store_true")
    options = parser.parse_args()
    config = uvicorn.Config(
        options.application, http="chatflow.door:Door", limit_concurrency=20_000
    )
    # Each reload would say four times that it goes well.
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    config.load()
    if options.standby:
        from chatflow.workflows.cluster.standby import stand_by

        stand_by()
    sockets = [socket.socket(fileno=each) for each in options.descriptors]
    for each in sockets:
        # None of its own children's.
        each.set_inheritable(False)
    uvicorn.Server(config).run(sockets)


if __name__ == "__main__":
    main()
