"""docs/cookbook.md, tried: one test for each recipe."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import Permission, User
from django_q.models import Schedule

from chatflow.workflows import services, workflow
from chatflow.workflows.exceptions import AlreadyQueued
from chatflow.workflows.models import Job, State
from chatflow.workflows.testing import Approve
from tests.acceptance.markdown import block, blocks
from tests.conftest import make_user
from tests.workflows.chat import Chat, run_waiting

PAGE = Path(__file__).resolve().parents[2] / "docs" / "cookbook.md"

pytestmark = pytest.mark.django_db


def cook(heading: str, number: int = 0, **names: Any) -> dict[str, Any]:
    """Run a recipe's code, and return its names."""
    kitchen: dict[str, Any] = {"__name__": "docs", **names}
    exec(block(PAGE, heading, "python", number), kitchen)
    return kitchen


class Server(HTTPServer):
    """Answers by a script of statuses and bodies, and keeps what it was sent."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Request)
        self.script: list[tuple[int, Any]] = []
        self.asked: list[tuple[str, dict[str, str], bytes]] = []
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Request(BaseHTTPRequestHandler):
    server: Server

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.asked.append((self.path, dict(self.headers), body))
        status, answer = self.server.script.pop(0)
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

    do_GET = answer  # noqa: N815
    do_POST = answer  # noqa: N815

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def other_side() -> Iterator[Server]:
    with Server() as server:
        yield server
        server.shutdown()


def test_every_recipe_is_tried() -> None:
    headings = list(dict.fromkeys(each.heading for each in blocks(PAGE, "python")))
    assert len(headings) == 12
    source = Path(__file__).read_text()
    assert [heading for heading in headings if f'cook("{heading}"' not in source] == []


def test_a_report_every_night() -> None:
    nightly_report = cook("A report every night")["nightly_report"]
    make_user("reports")
    workflow("report")(lambda ctx: "Written.")
    for _ in range(2):
        nightly_report()
    run_waiting()
    job = Job.objects.get()
    assert (job.user.get_username(), job.response) == ("reports", "Written.")

    cook("A report every night", 1)
    planned = Schedule.objects.get()
    assert planned.func == "team.tasks.nightly_report"
    assert planned.next_run.minute == 0


def test_a_slow_api(run: Any, other_side: Server) -> None:
    names = cook("A slow API that fails now and then")
    real = names["urlopen"]

    def ask(url: str, timeout: int) -> Any:
        try:
            return real(url.replace("https://stock.example.com", other_side.url), timeout=timeout)
        except HTTPError as error:
            # Its socket, left to the collector, would fail whichever test runs by then.
            error.close()
            raise

    names["urlopen"] = ask
    other_side.script = [(503, {})] * 4 + [(200, {"count": 7})]
    turn = run("stock", "is it in stock?", answers=["lamp"])
    assert turn.response == "There are 7."
    assert turn.job.attempt == 2
    assert {path for path, _, _ in other_side.asked} == {"/lamp"}


@pytest.mark.parametrize("crash_after", ["Numbering the payment", "Charging", "Booking"])
def test_pay_exactly_once(run: Any, crash_after: str) -> None:
    keys: list[str] = []
    booked: list[str] = []

    class Provider:
        def charge(self, amount: int, idempotency_key: str) -> str:
            keys.append(idempotency_key)
            return f"R-{amount}"

    def book(user: int, receipt: str) -> None:
        booked.append(receipt)

    cook("Pay exactly once", PROVIDER=Provider(), book=book)
    turn = run("pay", "pay the bill", crash_after=crash_after)
    assert turn.response == "Paid: R-120."
    assert len(set(keys)) == 1
    assert booked == ["R-120"]


def test_many_things_at_once(run: Any) -> None:
    cook("Many things at once, with progress")
    addresses = ["https://a.example", "http://b.example", "https://c.example"]
    turn = run(
        "check_links",
        "check the links",
        answers=[" ".join(addresses)],
        crash_after="Checking http://b.example",
    )
    assert turn.response == "2 of 3 links are safe."
    assert sorted(step.name for step in turn.steps) == sorted(f"Checking {a}" for a in addresses)
    assert "3 of 3" in [event.message for event in turn.events]


def test_two_people(run: Any, alice: User) -> None:
    cook("Two people have to agree")
    alone = run("payout", "pay out", user=alice, answers=[Approve()])
    assert alone.error == "Somebody else has to approve this."
    staff = make_user("bob", is_staff=True)
    staff.user_permissions.add(Permission.objects.get(codename="change_approvalrequest"))
    turn = run("payout", "pay out", user=alice, answers=[Approve(by=staff)])
    assert turn.response == "bob approved 500 euros."


def test_a_form(run: Any) -> None:
    cook("A form")
    wish = {"city": "Bremen", "day": "2027-03-04"}
    turn = run("trip", "plan a trip", answers=[{"city": "Bremen", "day": "soon"}, wish])
    assert turn.response == "By train to Bremen on 04 March."
    assert len(turn.questions) == 2


def test_stream_and_type(run: Any) -> None:
    cook("Stream an answer, and keep what it says as data")
    model = [{"mood": "angry", "urgent": True}, "We are sorry."]
    turn = run("letter", "answer this letter: where is my lamp?", model=model)
    assert turn.response == turn.words == "We are sorry."
    assert turn.usage["requests"] == 2


def test_hand_over(run: Any, alice: User) -> None:
    cook("Hand over to another workflow")
    turn = run("find_order", "find my order", user=alice, answers=["7"])
    assert turn.response == "Order 7 is on its way."
    [button] = turn.actions
    assert button["label"] == "Send it back"
    assert "input" not in button
    turn = run("send_back", input={"order": "7"}, user=alice)
    assert turn.response == "The label for order 7 is in the post."


def test_a_file(run: Any, settings: LazySettings, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path
    cook("A file in, a file out")
    assert run("sort_list", "sort this list").response == "Send me a list, please."
    turn = run("sort_list", "sort this list", files=[("list.txt", b"b\nc\na")])
    assert turn.response == "3 lines are sorted."
    assert turn.actions[0]["url"] == "/lists/sorted-list.txt"
    assert (tmp_path / "sorted-list.txt").read_bytes() == b"a\nb\nc"


def test_one_at_a_time(run: Any, chat: Chat) -> None:
    cook("One at a time, and so many a day")
    chat.send("audit", workflow="audit")
    with pytest.raises(AlreadyQueued):
        services.start(chat.user, "audit", session_key="other", workflow="audit")
    services.cancel(Job.objects.get())
    for _ in range(3):
        assert run("audit", user=chat.user).response == "All is well."
    assert run("audit", user=chat.user).error == "Three audits a day are enough."


def test_cancel(alice: User, bob: User) -> None:
    withdraw = cook("Cancel from code")["withdraw"]
    cook("Hand over to another workflow")
    mine = Chat(alice, "order-7").send("Find it", workflow="find_order")
    other = Chat(bob, "order-7").send("Find it", workflow="find_order")
    assert withdraw(alice, 7) == 1
    mine.refresh_from_db()
    other.refresh_from_db()
    assert (mine.state, other.state) == (State.CANCELLED, State.QUEUED)


# The answer within urllib's error: Python 3.14 wants it closed, and an error is let go of.
@pytest.mark.filterwarnings("ignore:Implicitly cleaning up <HTTPError:ResourceWarning")
# Django 6.1 asks for the setting MAILERS, which Django before doesn't know.
@pytest.mark.filterwarnings("ignore:Django 2028 will not have a default mailer")
@pytest.mark.parametrize("fails", [False, True])
def test_tell_somebody(run: Any, other_side: Server, mailoutbox: Any, fails: bool) -> None:
    def close() -> None:
        if fails:
            raise OSError("the disk is full")

    names = cook("Tell somebody at the end", close=close)
    real = names["Request"]
    names["Request"] = lambda url, *rest: real(f"{other_side.url}/done", *rest)
    other_side.script = [(503, {}), (200, {})]
    user = make_user("ann", email="ann@example.com")
    turn = run("close_books", user=user, crash_after="Sending a mail")
    outcome = "Failed: the disk is full" if fails else "The books are closed."
    assert turn.response == outcome
    assert [mail.body for mail in mailoutbox] == [outcome]
    path, headers, body = other_side.asked[-1]
    assert (path, json.loads(body)["outcome"]) == ("/done", outcome)
    assert headers["Idempotency-Key"] == turn.job.public_id
