"""A conversation with the invoice workflow of the examples."""

from typing import Any

from tests.acceptance.processes import Site

REQUEST = "Create invoice for {customer} with 3 laptops at 1200"


def talk(site: Site, user: str, session_id: str, *messages: str) -> dict[str, Any]:
    """Send the messages, each after the end of the job before; return the last one's status."""
    data: dict[str, Any] = {}
    for message in messages:
        data = site.run(user, message, session_id=session_id)
        assert data["status"] == "completed", data
    return data


def up_to_the_last_question(site: Site, user: str, session_id: str) -> dict[str, Any]:
    """Talk until a yes creates the invoice; return that question's status."""
    data = talk(site, user, session_id, REQUEST.format(customer=session_id), "yes")
    while "Shall I create this invoice?" not in data["awaiting"]["prompt"]:
        prompt = data["awaiting"]["prompt"]
        if data["awaiting"]["optional"]:
            answer = "skip"
        elif data["awaiting"]["kind"] == "confirm":
            answer = "yes"
        else:
            assert "email" in prompt, prompt
            answer = "billing@acme.test"
        data = talk(site, user, session_id, answer)
    return data
