"""Axe looks at the chat page in every state, in both colours, on a desktop and on phones."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, FilePayload, Page, Route, expect

from tests.acceptance.browser import (
    DESKTOP,
    PHONE,
    assert_accessible,
    new_context,
    sign_in,
)
from tests.acceptance.processes import Site

NARROW = {"width": 320, "height": 640}
# Each colour and each width; not each with each, which would take longer and find no more.
LOOKS: tuple[tuple[dict[str, int], Any], ...] = (
    (PHONE, "light"),
    (NARROW, "dark"),
    (DESKTOP, "dark"),
)
WHEN = "2026-11-29T12:00:00Z"
MARKDOWN = """Some **words** and `code`, [a link](https://a.test):

1. Run
   ```sh
   ls -l
   ```
2. Then

       an indented block

> A quotation [1]

| Name | Most |
| --- | ---: |
| A | 3 |

- [x] done
"""
SCHEMA = {
    "properties": {
        "name": {"type": "string", "title": "Your name", "description": "As on the card."},
        "count": {"type": "integer", "title": "How many", "minimum": 1},
        "size": {"enum": ["small", "large"], "title": "Size"},
        "gift": {"type": "boolean", "title": "It is a gift"},
    },
    "required": ["name"],
}
ACTIONS: list[dict[str, Any]] = [
    {"type": "link", "label": "Open", "url": "/invoices/"},
    {"id": "a", "type": "button", "label": "Do it", "state": "used"},
    {"id": "b", "type": "form", "label": "Order", "schema": SCHEMA, "state": "offered"},
    {"id": "c", "type": "confirm", "label": "Delete", "prompt": "Sure?", "state": "offered"},
]
SOURCES = [{"title": "Prices", "url": "/x", "relevance": 87, "content_preview": "**A** laptop"}]
QUESTIONS: dict[str, dict[str, Any]] = {
    "text": {"optional": True},
    "choice": {"choices": [{"value": 1, "label": "One"}, {"value": 2, "label": "Two"}]},
    "confirm": {},
    "form": {"schema": SCHEMA},
    "approval": {
        "approval_id": "a",
        "details": {"Table": "orders", "Rows": 1200},
        "schema": SCHEMA,
        "expires_at": "2027-01-01T12:00:00Z",
    },
}

# What an operator's pages have to show: a question that waits, a document that can't be read.
OPERATED = f"""
from datetime import timedelta
from django.contrib.auth.models import User
from django.utils import timezone
from chatflow.workflows.knowledge import unread
from chatflow.workflows.knowledge.documents import store
from chatflow.workflows.knowledge.readers import Unreadable
from chatflow.workflows.models import ApprovalRequest, DailyUsage, Job, Session, UsageFigures
if not User.objects.filter(username="boss").exists():
    User.objects.create_superuser("boss", password="boss")
job = Job.objects.filter(user__username="bob").latest("pk")
Session.objects.filter(pk=job.session_id).update(open_job=job)
asked = ApprovalRequest.objects.create(
    user=job.user, session=job.session, job=job, workflow="w", prompt="Pay it?",
    details={{"to": {{"name": "Zed", "lines": [1, 2]}}}}, schema={{"type": "object", **{SCHEMA!r}}},
    expires_at=timezone.now() + timedelta(hours=1))
text = b"# Prices\\nA price"
document, _ = store(text, "text/markdown", owner=job.user, session_id=job.session_id)
unread.note("a.md", Unreadable("No."), owner=job.user, document=document)
today = timezone.now().date()
UsageFigures.objects.create(user=job.user, workflow="w", model="m", day=today, requests=1, cost=2)
DailyUsage.objects.create(user=job.user, day=today, requests=9, tokens=9)
print(job.session_id, asked.pk, document.pk)
"""


def turn(number: int, **facts: Any) -> dict[str, Any]:
    return {
        "job_id": f"workflow_{number:032x}",
        "state": "completed",
        "title": "Chat",
        "attempts": 1,
        "duration_ms": 1234,
        "queue_ms": 10,
        "finished_at": WHEN,
        "steps": [{"name": "Look", "state": "finished", "duration_ms": 500}],
        "model": "gpt",
        "requests": 1,
        "input_tokens": 100,
        "output_tokens": 20,
        "cost": 0.01,
        "feedback": None,
        "can_retry": False,
        **facts,
    }


def asked(number: int, turn: dict[str, Any] | None = None) -> dict[str, Any]:
    answering = {"turn": turn} if turn else {}
    content = "What can you do?"
    job = f"workflow_{number:032x}"
    return {"id": 2 * number, "role": "user", "content": content, "job_id": job, **answering}


def answered(number: int, content: str, **fields: Any) -> dict[str, Any]:
    job = f"workflow_{number:032x}"
    said = {"id": 2 * number + 1, "role": "assistant", "content": content, "job_id": job}
    return {**said, "turn": turn(number), **fields}


@pytest.fixture(scope="module")
def page(get_site: Callable[[str], Site], browser: Browser) -> Iterator[Page]:
    with new_context(browser, reduced_motion="reduce") as context:
        page = context.new_page()
        sign_in(page, get_site("sqlite"), "alice")
        yield page


def look(page: Page) -> None:
    """Let axe look at the page as it stands."""
    for size, colours in LOOKS:
        page.set_viewport_size(size)  # type: ignore[arg-type]
        page.emulate_media(color_scheme=colours)
        assert_accessible(page)


def show(page: Page, *messages: dict[str, Any], **past: Any) -> None:
    """Show a conversation in which this was said."""
    body = {"success": True, "messages": messages, "active_job": None, "awaiting": None, **past}
    page.unroute("**/chat/history/shown")
    page.route("**/chat/history/shown", lambda route: route.fulfill(json=body))
    page.route("**/chat/session/shown", lambda route: route.fulfill(status=404, json={}))
    page.goto(page.url.partition("?")[0] + "?c=shown")
    expect(page.locator("#conversation .message").last).to_be_visible()


def open_anew(page: Page) -> None:
    page.goto(page.url.partition("?")[0])
    expect(page.locator("#welcome")).to_be_visible()


def test_before_anything_is_said(page: Page) -> None:
    open_anew(page)
    look(page)
    page.get_by_label("Message", exact=True).fill("/")
    expect(page.get_by_role("option").first).to_be_visible()
    look(page)


@pytest.mark.parametrize("kind", QUESTIONS)
def test_a_question(page: Page, kind: str) -> None:
    question = {"kind": kind, "prompt": "Which one?", "optional": False, **QUESTIONS[kind]}
    show(page, asked(1), answered(1, "Which one?", awaiting=question), awaiting=question)
    expect(page.locator(".question")).to_be_visible()
    look(page)


def test_a_question_beside_which_something_else_was_answered(page: Page) -> None:
    question = {"kind": "confirm", "prompt": "Which one?", "optional": False}
    side = (asked(2), answered(2, "That is another matter."))
    show(page, asked(1), answered(1, "Which?", awaiting=question), *side, awaiting=question)
    expect(page.get_by_role("button", name="Leave the question")).to_be_visible()
    look(page)


def test_answers_and_what_came_of_others(page: Page) -> None:
    stopped = turn(2, state="cancelled", code="cancelled", error="The request was cancelled.")
    failed = turn(3, state="failed", code="failed", error="It failed.", can_retry=True)
    failed |= {"admin_url": "/admin/", "exception": "RuntimeError: no"}
    whole = answered(1, MARKDOWN, sources=SOURCES, metadata={"cut_off": True})
    show(page, asked(1), whole, asked(2, stopped), asked(3, failed))
    for summary in page.locator("summary").all():
        summary.click()
    page.locator(".message--user").first.hover()
    page.get_by_role("button", name="Edit and send again").first.click()
    look(page)
    show(page, asked(2, stopped))
    look(page)


def test_next_moves_and_a_rating(page: Page) -> None:
    answer = answered(1, "Done.", actions=ACTIONS)

    def rate(route: Route) -> None:
        answer["turn"]["feedback"] = {"value": "down", "comment": ""}
        route.fulfill(json={"success": True})

    page.route("**/chat/feedback/**", rate)
    show(page, asked(1), answer)
    page.get_by_role("button", name="Order", exact=True).click()
    page.get_by_role("button", name="Delete", exact=True).click()
    page.get_by_role("button", name="Bad answer").click()
    expect(page.get_by_label("What was wrong? (optional)")).to_be_focused()
    look(page)
    expect(page.get_by_label("What was wrong? (optional)")).to_be_visible()


def test_what_is_under_way(page: Page) -> None:
    steps = [
        {"name": "Look", "state": "finished", "duration_ms": 500},
        {"name": "Write", "state": "running", "duration_ms": None},
    ]
    again = turn(1, state="processing", attempts=2, steps=steps)
    show(page, asked(1, again), active_job={"job_id": again["job_id"], "state": "processing"})
    expect(page.get_by_text("Resumed after an interruption")).to_be_visible()
    look(page)
    waiting = turn(1, state="queued", steps=[])
    show(page, asked(1, waiting), active_job={"job_id": waiting["job_id"], "state": "queued"})
    expect(page.get_by_text("Waiting for its turn")).to_be_visible()
    look(page)


def test_words_that_come(page: Page, get_site: Callable[[str], Site]) -> None:
    site = get_site("sqlite")
    open_anew(page)
    site.close_gate("axe")
    page.get_by_label("Message", exact=True).fill("speaker axe")
    page.keyboard.press("Enter")
    expect(page.locator(".message__text:visible").last).to_contain_text("before")
    look(page)
    site.open_gate("axe")
    expect(page.locator("#composer")).to_have_attribute("data-running", "false")


def test_menus_dialogs_and_a_search(page: Page) -> None:
    with page.expect_response("**/chat/sessions**"):
        page.reload()
    page.get_by_role("button", name="alice").click()
    look(page)
    page.keyboard.press("Escape")
    page.keyboard.press("Control+/")
    look(page)
    page.keyboard.press("Escape")
    more = page.get_by_role("button", name="More about").first
    more.click()
    look(page)
    page.keyboard.press("Escape")
    for entry in ("Rename", "Delete"):
        more.click()
        page.get_by_role("menuitem", name=entry).click()
        expect(page.get_by_role("dialog")).to_be_visible()
        look(page)
        page.keyboard.press("Escape")
    page.get_by_label("Search the conversations").fill("nothing has these words")
    expect(page.get_by_text("Nothing was found.")).to_be_visible()
    look(page)


def test_what_was_not_sent_and_files(page: Page) -> None:
    open_anew(page)
    held: list[Route] = []
    for path in ("**/chat/send", "**/knowledge/documents"):
        page.route(path, lambda route: held.append(route))
    page.get_by_label("Message", exact=True).fill("waits")
    page.keyboard.press("Enter")
    size = {"small.txt": 1, "large.txt": (1 << 20) + 1}
    files: list[FilePayload] = [
        {"name": name, "mimeType": "text/plain", "buffer": bytes(most)}
        for name, most in size.items()
    ]
    page.locator("#file").set_input_files(files)
    expect(page.get_by_text("This file is larger than 1 MB.")).to_be_visible()
    expect(page.get_by_text("Sending…")).to_be_visible()
    page.evaluate("dispatchEvent(new Event('offline'))")
    look(page)
    for path in ("**/chat/send", "**/knowledge/documents"):
        page.unroute(path)
    for route in held:
        route.abort()


def test_signed_out(page: Page) -> None:
    refusal = {"success": False, "error": "No.", "code": "unauthenticated"}
    show(page, asked(1), answered(1, "Done."))
    page.unroute("**/chat/feedback/**")
    page.route("**/chat/feedback/**", lambda route: route.fulfill(status=401, json=refusal))
    page.get_by_role("button", name="Good answer").click()
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    look(page)


def test_the_operator_s_pages(get_site: Callable[[str], Site], browser: Browser) -> None:
    site = get_site("sqlite")
    site.run("bob", "Hello there")
    session, asked, document = site.manage("shell", "-c", OPERATED).stdout.split()[-3:]
    rows, shelf = "/admin/chatflow_workflows", "/admin/chatflow_knowledge"
    paths = (
        f"{rows}/session/",
        f"{rows}/session/{session}/change/",
        f"{rows}/approvalrequest/",
        f"{rows}/approvalrequest/{asked}/change/",
        f"{rows}/dailyusage/",
        f"{shelf}/document/",
        f"{shelf}/document/{document}/change/",
        f"{shelf}/document/find/?q=Which+price&user=bob",
        f"{shelf}/unreadfile/",
    )
    with new_context(browser, reduced_motion="reduce") as context:
        page = context.new_page()
        sign_in(page, site, "boss")
        for size, colours in ((PHONE, "light"), (DESKTOP, "dark")):
            page.set_viewport_size(size)  # type: ignore[arg-type]
            page.emulate_media(color_scheme=colours)  # type: ignore[arg-type]
            for path in paths:
                answer = page.goto(site.url + path)
                assert answer is not None
                assert answer.ok, path
                assert_accessible(page)
