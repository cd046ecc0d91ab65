"""The pages in a real browser, at phone and desktop width."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import APIResponse, Browser, FilePayload, Locator, Page, Route, expect

from tests.acceptance.browser import (
    DESKTOP,
    PHONE,
    Watch,
    assert_accessible,
    new_context,
    sign_in,
)
from tests.acceptance.kinds import on_postgres, on_sqlite
from tests.acceptance.processes import Site, eventually
from tests.acceptance.talk import talk, up_to_the_last_question

# What makes a phone a phone to the page.
SCREENS: dict[str, dict[str, Any]] = {
    "desktop": {"viewport": DESKTOP},
    "phone": {"viewport": PHONE, "is_mobile": True, "has_touch": True, "device_scale_factor": 2},
}


# Changes the conversation at an address as another device does.
CHANGE = """async ([address, change]) => {
    const id = new URL(address).searchParams.get('c');
    const token = document.cookie.match(/csrftoken=([^;]+)/)[1];
    const headers = { 'Content-Type': 'application/json', 'X-CSRFToken': token };
    const body = JSON.stringify(change);
    await fetch(`/ai-demo/chat/session/${id}`, { method: 'PATCH', headers, body });
}"""
# A new conversation, the moment that the answer in the old one is there; and what was soon to come.
LEAVE_AT_THE_END = """() => new Promise((resolve) => {
    const composer = document.getElementById('composer');
    new MutationObserver((_, observer) => {
        if (composer.dataset.running !== 'false') return;
        observer.disconnect();
        document.getElementById('new-conversation').click();
        setTimeout(resolve, 300);
    }).observe(composer, { attributes: true });
})"""
# A byte more than a file may have.
LARGE: FilePayload = {"name": "a.txt", "mimeType": "text/plain", "buffer": bytes((1 << 20) + 1)}


class Chat:
    """The chat page, as a person uses it."""

    def __init__(self, page: Page, watch: Watch, pictures: Any) -> None:
        self.page = page
        self.watch = watch
        self.pictures = pictures

    def say(self, text: str) -> None:
        self.message.fill(text)
        self.page.get_by_role("button", name="Send", exact=True).click()

    @property
    def message(self) -> Locator:
        return self.page.get_by_label("Message", exact=True)

    @property
    def doing(self) -> Locator:
        """What the turn that runs says of itself."""
        return self.page.locator(".turn__doing:visible")

    def pick(self, label: str) -> None:
        self.page.locator(".question").get_by_role("button", name=label, exact=True).click()

    def expect_last(self, text: str | re.Pattern[str]) -> None:
        expect(self.page.locator("#conversation .message:visible").last).to_contain_text(text)

    def expect_idle(self) -> None:
        expect(self.page.locator("#composer")).to_have_attribute("data-running", "false")
        expect(self.doing).to_have_count(0)

    def turn(self, act: Callable[[], None]) -> None:
        """Do what starts a turn, and wait for the turn's end."""
        count = len(self.messages()) + 2
        act()
        eventually(lambda: len(self.messages()) >= count)
        self.expect_idle()

    def messages(self) -> list[str]:
        return self.page.locator("#conversation .message__text:visible").all_inner_texts()

    def picture(self, name: str) -> None:
        self.page.screenshot(path=self.pictures / f"{name}.png", animations="disabled")

    def shows_the_end(self) -> bool:
        """Whether the newest message, with its buttons, is in sight."""
        last = self.page.locator("#conversation .message:visible").last
        bottom: bool = last.evaluate(
            """(message) => message.getBoundingClientRect().bottom
                <= document.getElementById('conversation').getBoundingClientRect().bottom"""
        )
        return bottom

    def fits(self) -> bool:
        """Whether nothing reaches out of the screen sideways."""
        width: bool = self.page.evaluate(
            """[document.documentElement, document.getElementById('conversation')]
                .every((box) => !box || box.scrollWidth <= box.clientWidth)"""
        )
        return width


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return tmp_path_factory.mktemp("pictures")


@pytest.fixture
def screen(kind: str) -> str:
    """Return which screen it is: the one and the other, on the one database and the other."""
    return {"sqlite": "desktop", "postgres": "phone"}[kind]


@pytest.fixture
def chat(browser: Browser, site: Site, pictures: Any, kind: str) -> Iterator[Chat]:
    yield from open_chat(browser, site, pictures, kind, "desktop")


@pytest.fixture
def chat_on(browser: Browser, site: Site, pictures: Any, kind: str, screen: str) -> Iterator[Chat]:
    """Return the chat page on the screen that goes with the database."""
    yield from open_chat(browser, site, pictures, kind, screen)


def open_chat(
    browser: Browser, site: Site, pictures: Any, kind: str, screen: str
) -> Iterator[Chat]:
    folder = pictures / f"{screen}-{kind}"
    folder.mkdir(exist_ok=True)
    with new_context(browser, **SCREENS[screen]) as context:
        watch = Watch(context)
        page = context.new_page()
        page.goto(f"{site.url}/ai-demo/chat/")
        page.screenshot(path=folder / "0-sign-in.png")
        sign_in(page, site, "alice")
        chat = Chat(page, watch, folder)
        yield chat
        assert watch.complaints == []
        assert watch.hosts() == {site.url.removeprefix("http://")}


def test_an_invoice_is_made_in_a_conversation(chat_on: Chat, site: Site, screen: str) -> None:
    chat, page = chat_on, chat_on.page
    customer = f"Page {screen}"
    expect(page.locator("#welcome")).to_be_visible()
    chat.picture("1-welcome")
    assert chat.fits()
    page.get_by_role("button", name="Create an invoice", exact=True).click()
    chat.expect_last("Which customer is the invoice for?")
    chat.expect_idle()
    chat.say(customer)
    chat.expect_last(f"I don't know a customer called “{customer}”")
    chat.picture("2-question")
    chat.pick("Yes")
    chat.expect_last("What is the email address")
    chat.say("not an address")
    chat.expect_last("is not a valid email address")
    chat.say("page@example.com")
    chat.expect_last("phone number")
    chat.pick("Skip")
    chat.expect_last("billing address")
    chat.pick("Skip")
    chat.expect_last("What should be on the invoice?")
    # The desktop's customer and laptops are known on the phone.
    chat.turn(lambda: chat.say("3 laptops at 1200"))
    while "Shall I create this invoice?" not in chat.messages()[-1]:
        chat.turn(lambda: chat.pick("Yes"))
    chat.say("change the quantity to 2")
    chat.expect_last("2,400")
    chat.expect_idle()
    assert chat.shows_the_end()
    chat.picture("3-summary")
    assert chat.fits()
    # The worker stands in the middle of the last step.
    site.close_gate("invoice")
    visits = site.visits("invoice")
    chat.pick("Yes")
    site.wait_at_gate("invoice", visits + 1)
    expect(chat.doing).to_be_visible()
    site.open_gate("invoice")
    chat.expect_last(re.compile(r"Invoice \S+ for Page \w+ over .*2,400.* is ready\."))
    chat.expect_idle()
    chat.picture("4-ready")
    link = page.get_by_role("link", name="Open invoice")
    url = str(page.evaluate("(a) => a.href", link.element_handle()))
    page.goto(url)
    expect(page.get_by_text(customer).first).to_be_visible()
    expect(page.get_by_text("2,400").first).to_be_visible()
    chat.picture("5-invoice")
    assert chat.fits()
    assert page.locator(".invoice__table").evaluate("(box) => box.scrollWidth <= box.clientWidth")
    page.goto(f"{site.url}/invoices/")
    expect(page.get_by_text(customer).first).to_be_visible()
    chat.picture("6-invoices")
    assert chat.fits()


@on_postgres
def test_bob_cannot_open_the_invoice_of_alice(browser: Browser, site: Site) -> None:
    up_to_the_last_question(site, "alice", "Secret Ltd")
    ready = talk(site, "alice", "Secret Ltd", "yes")
    url = site.url + next(a["url"] for a in ready["actions"] if a["type"] == "link")
    with new_context(browser) as context:
        page = context.new_page()
        answer = page.goto(url)
        assert answer is not None
        assert "/accounts/login/" in page.url
        sign_in(page, site, "bob")
        answer = page.goto(url)
        assert answer is not None
        assert answer.status == 404
        assert "Secret" not in page.content()
        page.goto(f"{site.url}/invoices/")
        assert "Secret" not in page.content()


@on_postgres
def test_the_progress_is_shown_and_a_reload_resumes(chat_on: Chat, site: Site) -> None:
    chat, page = chat_on, chat_on.page
    chat.say("hello")
    chat.expect_last("offline")
    chat.expect_idle()
    gate = f"reload{site.value('SELECT count(*) FROM workflows_job')}"
    site.close_gate(f"{gate}-3")
    chat.say(f"gated {gate}")
    steps = page.locator(".step:visible")
    expect(chat.doing).to_have_text("Processing step 3 of 4...")
    expect(steps).to_have_count(3)
    expect(steps.last).to_have_attribute("data-state", "running")
    expect(page.get_by_role("progressbar", name="Progress")).to_have_attribute("value", "50")
    chat.expect_last("1 2")
    before = chat.messages()
    assert_accessible(page)
    chat.picture("7-progress")
    assert chat.fits()
    for _ in range(2):
        page.reload()
        expect(chat.doing).to_have_text("Processing step 3 of 4...")
        chat.expect_last("1 2")
        expect(steps).to_have_count(3)
        assert chat.messages() == before
    site.open_gate(f"{gate}-3")
    chat.expect_last("All four.")
    chat.expect_idle()
    after = [*before[:-1], "All four."]
    assert chat.messages() == after
    page.reload()
    expect(page.locator("#conversation .message:visible")).to_have_count(len(after))
    chat.expect_last("All four.")
    assert chat.messages() == after


@on_sqlite
def test_words_appear_as_they_are_written(chat: Chat, site: Site) -> None:
    site.close_gate("words")
    chat.say("speaker words")
    words = chat.page.locator("#conversation .message__text:visible").last
    expect(words).to_have_text(re.compile(r"^before\s*$"))
    site.open_gate("words")
    chat.expect_last("before after")


@on_postgres
def test_cancel_stops_the_work(chat_on: Chat, site: Site, screen: str) -> None:
    chat, page = chat_on, chat_on.page
    chat.say("Run a long demo with 50 steps of 1 second")
    expect(chat.doing).to_contain_text("of 50")
    page.get_by_role("button", name="Stop", exact=True).click()
    chat.expect_last("cancelled")
    chat.expect_idle()
    chat.picture("8-cancelled")
    # Tried again it runs, also to whoever comes later, and can be stopped again.
    page.get_by_role("button", name="Try again").click()
    expect(chat.doing).to_contain_text("of 50")
    if screen == "desktop":
        expect(chat.message).to_be_focused()
    page.reload()
    expect(chat.doing).to_contain_text("of 50")
    page.get_by_role("button", name="Stop", exact=True).click()
    chat.expect_last("cancelled")
    chat.expect_idle()
    [(state,)] = site.query("SELECT state FROM workflows_job ORDER BY id DESC LIMIT 1")
    assert state == "cancelled"
    # The conversation goes on.
    chat.say("gated after")
    chat.expect_last("All four.")
    page.reload()
    chat.expect_last("All four.")


# It doesn't keep the order of an object's fields.
@on_postgres
def test_next_moves(chat_on: Chat) -> None:
    chat, page = chat_on, chat_on.page
    chat.say("show moves")
    chat.expect_last("What next?")
    chat.expect_idle()
    answer = page.locator("#conversation .message--assistant").last
    page.get_by_text("2 sources").click()
    expect(answer.get_by_text("<b>Buffer</b>")).to_be_visible()
    expect(answer.get_by_role("link")).to_have_count(2)
    chat.picture("10-moves")
    assert chat.fits()
    page.get_by_role("button", name="Do it").click()
    chat.expect_last("Moved with {'n': 7}.")
    chat.expect_idle()

    # The server refuses what the browser lets pass, and the form stays.
    page.get_by_role("button", name="Order").click()
    expect(page.get_by_label("Your name")).to_be_focused()
    page.get_by_label("Your name").fill("Ada")
    page.get_by_label("How many (optional)").fill("0")
    page.get_by_label("Your name").press("Enter")
    assert page.get_by_label("How many").evaluate("(input) => !input.validity.valid")
    page.locator("form.panel").evaluate("(form) => { form.noValidate = true; }")
    page.get_by_label("Your name").press("Enter")
    expect(page.get_by_role("alert")).to_have_text("0 is less than the minimum of 1.")
    chat.picture("11-form")
    assert chat.fits()
    page.get_by_label("How many").fill("3")
    page.get_by_label("It is a gift").check()
    page.get_by_role("button", name="Order").click()
    chat.expect_last("Moved with {'count': 3, 'gift': True, 'name': 'Ada', 'size': 'large'}.")
    chat.expect_idle()

    page.get_by_role("button", name="Delete rows").click()
    expect(page.get_by_text("Delete rows from the <b>table</b>?")).to_be_visible()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Delete rows").press("Enter")
    page.keyboard.press("Enter")
    chat.expect_last("Delete the rows?")
    chat.expect_idle()

    page.reload()
    chat.expect_last("Delete the rows?")
    for label in ("Do it", "Order", "Delete rows"):
        expect(page.get_by_role("button", name=f"{label} used")).to_be_disabled()
    expect(page.get_by_role("button", name="Once more")).to_have_count(0)
    page.get_by_label("Reason").fill("they are old")
    page.get_by_label("Reason").press("Enter")
    page.get_by_role("button", name="Approve", exact=True).click()
    page.get_by_label("Up to how many rows?").fill("5")
    chat.picture("12-approval")
    assert chat.fits()
    page.get_by_role("button", name="Approve", exact=True).click()
    chat.expect_last("True by alice: they are old Limit(amount=5)")
    chat.expect_idle()
    assert "Approved: they are old" in chat.messages()
    # What was refused once shows in the console as well.
    chat.watch.complaints.clear()


@on_postgres
def test_what_was_decided_elsewhere_is_shown(chat: Chat) -> None:
    page = chat.page
    chat.turn(lambda: chat.say("show moves"))
    page.get_by_role("button", name="Delete rows").click()
    page.keyboard.press("Enter")
    chat.expect_last("Delete the rows?")
    chat.expect_idle()

    def decide_before(route: Route) -> None:
        route.fetch()
        route.continue_()

    page.route("**/workflow/approval/**", decide_before)
    page.get_by_label("Up to how many rows?").fill("5")
    page.get_by_role("button", name="Approve", exact=True).click()
    expect(page.get_by_text("This was decided already.")).to_be_visible()
    chat.expect_last("True by alice")
    chat.expect_idle()
    expect(page.get_by_role("button", name="Try again")).to_have_count(0)
    expect(chat.message).to_be_focused()
    # The refusal shows in the console as well.
    chat.watch.complaints.clear()


@on_postgres
def test_a_failure_is_shown(chat_on: Chat, site: Site) -> None:
    chat_on.say("failing")
    expect(chat_on.page.get_by_role("alert")).to_contain_text("The workflow failed.")
    chat_on.expect_idle()
    chat_on.picture("9-failed")
    # To try again is to do the same job again, with all that it was given.
    again = "SELECT count(*) FROM workflows_job WHERE retry_of_id IS NOT NULL"
    retries = site.value(again)
    first = chat_on.page.locator(".failure__job").inner_text()
    chat_on.page.get_by_role("button", name="Try again").click()
    eventually(lambda: site.value(again) == retries + 1)
    expect(chat_on.page.locator(".failure__job")).not_to_have_text(first)
    chat_on.expect_idle()
    assert chat_on.messages() == ["failing"]
    # The server's answers are what they should be; to the console a 500 is an error all the same.
    chat_on.watch.complaints.clear()


def test_a_conversation_outlives_the_web_server(
    browser: Browser, own_site: Site, kind: str
) -> None:
    site = own_site
    web = site.start_web()
    site.start_cluster()
    with new_context(browser) as context:
        page = context.new_page()
        sign_in(page, site, "alice")
        site.close_gate("outlive-2")
        page.get_by_label("Message", exact=True).fill("gated outlive")
        page.get_by_role("button", name="Send", exact=True).click()
        expect(page.locator(".turn__doing")).to_have_text("Processing step 2 of 4...")
        web.kill()
        site.open_gate("outlive-2")
        eventually(lambda: site.value("SELECT state FROM workflows_job") == "completed")
        site.start_web(port=int(web.url.rpartition(":")[2]))
        # The page comes back by itself.
        last = page.locator("#conversation .message:visible").last
        expect(last.locator(".message__text:visible")).to_have_text("All four.")


@on_postgres
def test_the_conversations_and_their_addresses(chat_on: Chat, screen: str) -> None:
    chat, page = chat_on, chat_on.page

    def open_sidebar() -> None:
        if screen == "phone":
            page.get_by_role("button", name="Conversations").tap()
            expect(page.locator("#sidebar")).to_be_visible()

    # A slash lists the workflows; the chosen one takes what is written next.
    chat.message.press_sequentially("/gat")
    expect(page.get_by_role("option")).to_have_count(1)
    chat.message.press("Enter")
    expect(page.locator("#workflow-name")).to_have_text("Gated")
    chat.message.fill("list")
    chat.message.press("Enter")
    chat.expect_last("All four.")
    chat.expect_idle()
    assert chat.messages() == ["list", "All four."]
    session = page.locator("#chat").get_attribute("data-session") or ""
    assert page.url.endswith(f"?c={session}")
    open_sidebar()
    assert_accessible(page)
    chat.picture("10-menu")
    page.get_by_role("button", name="New conversation").click()
    expect(page.locator("#welcome")).to_be_visible()
    page.go_back()
    chat.expect_last("All four.")
    page.go_forward()
    expect(page.locator("#welcome")).to_be_visible()
    open_sidebar()
    page.locator("#conversations a").first.click()
    expect(page.locator("#chat")).to_have_attribute("data-session", session)
    chat.expect_last("All four.")
    # What was typed stays, for each conversation.
    chat.message.fill("half a thought")
    page.reload()
    chat.expect_last("All four.")
    expect(chat.message).to_have_value("half a thought")
    chat.picture("11-recent")


@on_postgres
def test_what_a_model_says_does_nothing_but_show(chat_on: Chat, screen: str) -> None:
    chat, page = chat_on, chat_on.page
    page.add_init_script("window.attack = () => { window.attacked = true; };")
    page.reload()
    chat.say("hostile")
    chat.expect_last("done")
    chat.expect_idle()
    answer = page.locator("#conversation .message--assistant").last
    expect(answer.get_by_role("heading", name="Hello <b>you</b>")).to_be_visible()
    assert "<script>attack()</script>" in answer.inner_text()
    links = ["pixel", "way in", "https://evil.example", "good"]
    expect(answer.get_by_role("link")).to_have_text(links)
    assert not [url for url in chat.watch.urls if "/accounts/once" in url]
    good = answer.get_by_role("link", name="good")
    assert good.get_attribute("rel") == "noopener noreferrer nofollow"
    assert good.get_attribute("target") == "_blank"
    expect(answer.get_by_role("cell", name="good")).to_be_visible()
    expect(answer.get_by_role("checkbox")).to_be_disabled()
    expect(answer.locator(".code .hljs-string")).to_have_text('"<script>attack()</script>"')
    assert answer.locator("script, img, iframe, [style], [class*=evil]").count() == 0
    assert page.evaluate("window.attacked") is None
    chat.picture("14-markdown")
    assert chat.fits()
    assert_accessible(page)


@on_sqlite
def test_by_keyboard_only(chat: Chat, site: Site) -> None:
    page, keyboard = chat.page, chat.page.keyboard
    expect(chat.message).to_be_focused()
    keyboard.type("gated keys\n")
    chat.expect_last("All four.")
    site.close_gate("stopped-1")
    keyboard.type("gated stopped\n")
    expect(chat.doing).to_contain_text("of 4")
    keyboard.press("Escape")
    chat.expect_last("cancelled")
    chat.expect_idle()
    keyboard.press("Control+/")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    assert_accessible(page)
    keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    keyboard.press("Control+Shift+O")
    expect(page.locator("#welcome")).to_be_visible()
    # A message over the limit is counted, and neither cut nor sent.
    chat.message.fill("x" * 4001)
    expect(page.get_by_text("1 character too long")).to_be_visible()
    keyboard.press("Enter")
    expect(chat.message).to_have_value("x" * 4001)
    assert_accessible(page)


@on_sqlite
@pytest.mark.parametrize("colours", ["light", "dark"])
def test_everybody_can_use_it(browser: Browser, site: Site, colours: Any, pictures: Any) -> None:
    """On the narrowest screen, in both colours, in another language."""
    narrow = {"viewport": {"width": 320, "height": 640}, "locale": "de-DE"}
    with new_context(browser, color_scheme=colours, **narrow) as context:
        page = context.new_page()
        page.goto(f"{site.url}/accounts/login/")
        assert_accessible(page)
        page.get_by_label("Benutzername").fill("alice")
        page.get_by_label("Passwort").fill("alice")
        page.get_by_role("button", name="Anmelden").click()
        expect(page.get_by_role("heading", name="Was soll getan werden?")).to_be_visible()
        page.screenshot(path=pictures / f"narrow-{colours}.png")
        assert_accessible(page)
        chat = Chat(page, Watch(context), pictures)
        assert chat.fits()
        page.get_by_label("Nachricht", exact=True).fill("show moves")
        page.get_by_role("button", name="Senden", exact=True).click()
        page.get_by_role("button", name="Order").click()
        page.get_by_text("2 Quellen").click()
        assert_accessible(page)
        assert chat.fits()
        page.get_by_label("Your name").fill("Ada")
        page.get_by_label("Your name").press("Escape")
        page.get_by_role("button", name="Delete rows").click()
        page.get_by_role("button", name="Delete rows").click()
        expect(page.get_by_role("button", name="Genehmigen")).to_be_visible()
        assert_accessible(page)
        assert chat.fits()
        page.route("**/knowledge/documents", lambda route: route.abort())
        page.locator("#file").set_input_files({**LARGE, "buffer": b"hello"})
        expect(page.get_by_text("Der Server war nicht erreichbar")).to_be_visible()


@on_sqlite
def test_it_loads_little(chat: Chat, site: Site) -> None:
    """At most twelve requests, and nothing moves."""
    chat.page.reload()
    expect(chat.page.locator("#welcome")).to_be_visible()
    chat.watch.urls.clear()
    chat.page.reload()
    expect(chat.page.locator("#conversations a, #conversations-empty").first).to_be_attached()
    assert len(chat.watch.urls) <= 12, chat.watch.urls
    shift = chat.page.evaluate(
        """new Promise((resolve) => {
            const sum = (list) => list.getEntries().reduce((all, { value }) => all + value, 0);
            const seen = new PerformanceObserver((list) => resolve(sum(list)));
            seen.observe({ type: 'layout-shift', buffered: true });
            setTimeout(() => resolve(0), 200);
        })"""
    )
    assert shift == 0


@on_postgres
def test_the_example_page_works(chat_on: Chat, site: Site) -> None:
    chat, page = chat_on, chat_on.page
    page.goto(f"{site.url}/ai-demo/chat/example/")
    chat.picture("12-example")
    assert chat.fits()
    log = page.locator("#conversation")
    message = page.get_by_label("Message")

    def press(name: str) -> None:
        page.get_by_role("button", name=name, exact=True).click()

    def expect_count(text: str, count: int) -> None:
        expect(log.get_by_text(text, exact=True)).to_have_count(count)

    message.fill("gated example")
    press("Send in the background")
    expect_count("All four.", 1)
    press("Send directly")
    expect_count("All four.", 2)
    press("Send smart")
    expect_count("The server decides.", 1)
    expect_count("All four.", 3)
    jobs = site.value("SELECT count(*) FROM workflows_job")
    press("Send twice, once only")
    expect_count("All four.", 5)
    assert site.value("SELECT count(*) FROM workflows_job") == jobs + 1
    gate = f"example{jobs}"
    site.close_gate(f"{gate}-2")
    message.fill(f"gated {gate}")
    press("Send in the background")
    expect(page.locator("#progress-message")).to_have_text("Processing step 2 of 4...")
    press("Disconnect")
    expect(log.get_by_text("Disconnected")).to_be_visible()
    press("Resume")
    expect(page.locator("#progress-message")).to_have_text("Processing step 2 of 4...")
    press("Cancel")
    expect(log.get_by_role("alert").last).to_have_text("The request was cancelled. (cancelled)")
    press("History")
    expect_count("gated example", 4)
    chat.picture("13-example")
    # With a token instead of the session.
    page.context.clear_cookies()
    page.get_by_label("Bearer token").fill(site.token("bob"))
    message.fill("gated token")
    press("Send in the background")
    expect_count("All four.", 10)


@on_sqlite
def test_the_invoice_pages_of_a_signed_out_reader(chat: Chat, site: Site) -> None:
    chat.page.get_by_role("button", name="alice").click()
    assert_accessible(chat.page)
    chat.page.get_by_role("button", name="Sign out").click()
    chat.page.wait_for_url(f"{site.url}/accounts/login/**")
    chat.page.goto(f"{site.url}/ai-demo/chat/")
    expect(chat.page.get_by_label("Password")).to_be_visible()


@on_sqlite
def test_a_wrong_password_is_refused(browser: Browser, site: Site) -> None:
    with new_context(browser) as context:
        page = context.new_page()
        page.goto(f"{site.url}/accounts/login/")
        page.get_by_label("Username").fill("alice")
        page.get_by_label("Password").fill("bob")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("alert")).to_be_visible()


@on_postgres
def test_a_message_is_edited(chat: Chat) -> None:
    chat.say("gated first")
    chat.expect_last("All four.")
    chat.say("gated second")
    chat.expect_last("All four.")
    chat.expect_idle()
    page = chat.page
    page.locator(".message--user").first.hover()
    page.get_by_role("button", name="Edit and send again").first.click()
    assert_accessible(page)
    page.get_by_label("Edit the message").fill("speaker edited")
    page.get_by_label("Edit the message").press("Enter")
    chat.expect_last("before after")
    chat.expect_idle()
    assert chat.messages() == ["speaker edited", "before after"]
    page.reload()
    chat.expect_last("before after")
    assert chat.messages() == ["speaker edited", "before after"]


@on_sqlite
def test_what_is_refused_goes_back_to_where_it_was_written(chat: Chat) -> None:
    page = chat.page
    refusal = {"success": False, "error": "It was refused.", "code": "invalid"}
    chat.say("gated mine")
    chat.expect_last("All four.")
    chat.expect_idle()
    held: list[Route] = []
    page.route("**/chat/send", lambda route: held.append(route))

    def send(act: Callable[[], None]) -> None:
        act()
        expect(chat.doing).to_have_text("Sending…")
        eventually(lambda: page.evaluate("1") and held)

    send(lambda: chat.say("said here"))
    page.get_by_role("button", name="New conversation").click()
    expect(page.locator("#welcome")).to_be_visible()
    held.pop().fulfill(status=400, json=refusal)
    expect(page.locator(".notice")).to_contain_text("It was refused.")
    expect(chat.message).to_have_value("")
    expect(page.locator("#conversation .message")).to_have_count(0)
    # The first message of a conversation that came to nothing.
    send(lambda: chat.say("said first"))
    held.pop().fulfill(status=400, json=refusal)
    expect(page.get_by_role("alert")).to_contain_text("It was refused.")
    page.reload()
    expect(chat.message).to_have_value("said first")
    page.get_by_role("link", name="gated mine").click()
    expect(chat.message).to_have_value("said here")
    chat.expect_last("All four.")
    # An edit that is refused leaves all that it would have replaced.
    page.locator(".message--user").first.hover()
    page.get_by_role("button", name="Edit and send again").first.click()
    page.get_by_label("Edit the message").fill("gated edited")
    send(lambda: page.get_by_label("Edit the message").press("Enter"))
    held.pop().fulfill(status=400, json=refusal)
    expect(page.get_by_role("alert")).to_contain_text("It was refused.")
    expect(page.get_by_text("All four.")).to_be_visible()
    assert chat.messages() == ["gated mine", "All four.", "gated edited"]
    page.unroute("**/chat/send")
    page.get_by_role("button", name="Try again").click()
    chat.expect_last("All four.")
    chat.expect_idle()
    assert chat.messages() == ["gated edited", "All four."]
    chat.watch.complaints.clear()


@on_postgres
def test_an_answer_is_rated(chat: Chat) -> None:
    page = chat.page
    # A history that the page asked for before the rating comes after it, and knows nothing of it.
    late: list[tuple[Route, APIResponse]] = []
    page.route("**/history/**", lambda route: late.append((route, route.fetch())))
    with page.expect_request("**/history/**"):
        chat.say("gated rated")
        chat.expect_last("All four.")
    good = page.get_by_role("button", name="Good answer")
    expect(good).to_be_visible()
    page.route("**/history/**", lambda route: route.continue_())
    good.click()
    expect(good).to_have_attribute("aria-pressed", "true")
    with page.expect_response("**/history/**"):
        for route, response in late:
            route.fulfill(response=response)
    page.evaluate("new Promise(requestAnimationFrame)")
    expect(good).to_have_attribute("aria-pressed", "true")
    expect(good).to_be_focused()
    page.reload()
    expect(good).to_have_attribute("aria-pressed", "true")
    good.click()
    expect(good).to_have_attribute("aria-pressed", "false")


@on_sqlite
def test_a_bad_answer_is_told_why(chat: Chat, site: Site) -> None:
    page, keyboard = chat.page, chat.page.keyboard
    chat.turn(lambda: chat.say("gated rated"))
    bad = page.get_by_role("button", name="Bad answer")
    why = page.get_by_label("What was wrong? (optional)")
    bad.press("Enter")
    expect(why).to_be_focused()
    # Nobody has to.
    keyboard.press("Escape")
    expect(why).to_have_count(0)
    expect(bad).to_be_focused()
    expect(bad).to_have_attribute("aria-pressed", "true")
    for pressed in ("false", "true"):
        with page.expect_response("**/history/**"):
            bad.press("Enter")
        expect(bad).to_have_attribute("aria-pressed", pressed)
    # What was read meanwhile leaves the form open.
    expect(why).to_be_focused()
    keyboard.type("too long\n")
    expect(why).to_have_count(0)
    expect(bad).to_be_focused()
    newest = "SELECT value || ': ' || comment FROM workflows_feedback ORDER BY id DESC LIMIT 1"
    assert site.value(newest) == "down: too long"


# What a browser hands over when files are dropped or pasted; `name/` is a folder.
HAND_OVER = """([type, place, names, text]) => {
    const data = new DataTransfer();
    for (const name of names) {
        const type = name.endsWith('.png') ? 'image/png' : 'text/plain';
        data.items.add(new File(['words'], name.replace('/', ''), { type }));
    }
    const isFolder = (name) => names.includes(`${name}/`);
    DataTransferItem.prototype.webkitGetAsEntry = function entry() {
        const { name } = this.getAsFile() ?? {};
        return name ? { name, isDirectory: isFolder(name) } : null;
    };
    if (text) data.setData('text/plain', text);
    const options = { bubbles: true, cancelable: true };
    const event = type === 'paste'
        ? new ClipboardEvent(type, { ...options, clipboardData: data })
        : new DragEvent(type, { ...options, dataTransfer: data });
    return !document.querySelector(place).dispatchEvent(event);
}"""


@on_sqlite
def test_each_file_that_is_not_taken_is_told_of(chat: Chat) -> None:
    page = chat.page

    def hand_over(type_: str, place: str, names: list[str], text: str = "") -> bool:
        """Return whether the page kept the browser from what it would do by itself."""
        taken: bool = page.evaluate(HAND_OVER, [type_, place, names, text])
        return taken

    # A file that was really uploaded would leave a conversation behind.
    document = {"success": True, "document": {"id": "d", "type": "text/plain", "file_url": "/x"}}
    page.route("**/knowledge/documents", lambda route: route.fulfill(json=document))
    chat.message.fill("kept")
    assert hand_over("drop", "#sidebar", ["docs/", "a.txt"])
    expect(page.get_by_text("A folder can’t be added; add its files.")).to_be_visible()
    expect(page.get_by_role("button", name="Remove a.txt")).to_be_visible()
    # A text that is copied with a picture of itself is pasted as text.
    assert not hand_over("paste", "#message", ["text.png"], "words")
    assert hand_over("paste", "#message", ["b.txt"])
    expect(page.locator(".attachment")).to_have_count(2)
    assert hand_over("drop", "#message", [f"{number}.txt" for number in range(9)])
    expect(page.get_by_text("at most 10 files; 1 was left out.")).to_be_visible()
    expect(page.locator(".attachment")).to_have_count(10)
    page.get_by_role("button", name="Remove b.txt").click()
    page.locator("#file").set_input_files(LARGE)
    expect(page.get_by_role("alert")).to_have_text("This file is larger than 1 MB.")
    expect(chat.message).to_have_value("kept")


@on_postgres
def test_a_file_goes_with_a_message(chat: Chat) -> None:
    page = chat.page
    page.locator("#file").set_input_files(
        {"name": "prices.txt", "mimeType": "text/plain", "buffer": b"A laptop costs 1200."}
    )
    expect(page.get_by_role("button", name="Remove prices.txt")).to_be_visible()
    # It has made a conversation, which is the one that is shown.
    expect(page.locator("#conversations a[aria-current]")).to_have_count(1)
    assert_accessible(page)
    chat.say("gated file")
    chat.expect_last("All four.")
    expect(page.locator(".message--user").get_by_role("link", name="prices.txt")).to_be_visible()
    page.reload()
    expect(page.locator(".message--user").get_by_role("link", name="prices.txt")).to_be_visible()
    # A message can be changed also where its file is gone.
    document = page.locator(".message--user a.files__file").get_attribute("href") or ""
    url = document.replace("/files/", "/documents/")
    deletion = f"""fetch('{url}', {{
        method: 'DELETE',
        headers: {{'X-CSRFToken': document.cookie.match(/csrftoken=(\\w+)/)[1]}},
    }}).then(({{status}}) => status)"""
    assert page.evaluate(deletion) < 300
    page.reload()
    chat.expect_last("All four.")
    page.locator(".message--user").hover()
    page.get_by_role("button", name="Edit and send again").click()
    page.get_by_label("Edit the message").fill("gated changed")
    page.get_by_label("Edit the message").press("Enter")
    chat.expect_last("All four.")
    chat.expect_idle()
    assert chat.messages() == ["gated changed", "All four."]
    # What nobody can read is refused with words, and nothing typed is lost.
    chat.message.fill("kept")
    page.locator("#file").set_input_files(
        {"name": "a.xyz", "mimeType": "application/x-xyz", "buffer": b"x"}
    )
    expect(page.get_by_role("alert")).to_contain_text("A document must be one of")
    expect(chat.message).to_have_value("kept")
    chat.watch.complaints.clear()


@on_sqlite
def test_a_signed_out_browser_loses_nothing(chat: Chat, site: Site) -> None:
    page = chat.page
    chat.say("gated before")
    chat.expect_last("All four.")
    chat.expect_idle()
    page.context.clear_cookies()
    chat.say("gated after")
    expect(page.locator(".notice")).to_contain_text("You are signed out.")
    page.get_by_role("button", name="Sign in").click()
    page.get_by_label("Username").fill("alice")
    page.get_by_label("Password").fill("alice")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("All four.")).to_have_count(2)
    assert chat.messages() == ["gated before", "All four.", "gated after", "All four."]
    chat.watch.complaints.clear()


@on_sqlite
def test_who_signs_out_in_another_tab_is_told_once(chat: Chat) -> None:
    page = chat.page
    chat.turn(lambda: chat.say("gated signed"))
    chat.message.fill("half a thought")
    page.evaluate(
        """() => {
            window.told = [];
            const line = document.getElementById('connection');
            new MutationObserver(() => window.told.push(line.textContent))
                .observe(line, { attributes: true, childList: true });
        }"""
    )
    with page.context.new_page() as other:
        other.goto(page.url)
        other.get_by_role("button", name="alice").click()
        other.get_by_role("button", name="Sign out").click()
        expect(page.locator(".notice")).to_contain_text("You are signed out.")
        assert page.evaluate("window.told.filter(Boolean)") == []
        assert_accessible(page)
        # Whatever is tried says the same, and no more.
        page.get_by_role("button", name="Good answer").click()
        expect(page.locator(".notice")).to_have_count(1)
        other.get_by_label("Username").fill("alice")
        other.get_by_label("Password").fill("alice")
        other.get_by_role("button", name="Sign in").click()
        expect(other.locator("#message")).to_be_visible()
        expect(page.locator(".notice")).to_have_count(0)
    expect(chat.message).to_have_value("half a thought")
    chat.watch.complaints.clear()


@on_sqlite
def test_what_was_not_sent_outlives_a_reload(chat: Chat) -> None:
    page = chat.page
    page.route("**/chat/send", lambda route: route.abort())
    chat.say("gated waiting")
    expect(chat.doing).to_have_text("Sending…")
    # The conversation is nowhere else yet.
    page.reload()
    expect(chat.doing).to_have_text("Sending…")
    assert chat.messages() == ["gated waiting"]
    page.unroute("**/chat/send")
    chat.expect_last("All four.")
    chat.expect_idle()
    assert chat.messages() == ["gated waiting", "All four."]
    chat.watch.complaints.clear()


@on_sqlite
def test_the_place_in_the_queue_is_told(chat: Chat, site: Site) -> None:
    site.close_gate("busy-1")
    for _ in range(8):
        site.send("bob", "gated busy")
    chat.say("gated queued")
    expect(chat.doing).to_have_text(re.compile(r"^Number \d+ in the queue$"))
    site.open_gate("busy-1")
    chat.expect_last("All four.")
    chat.expect_idle()


@on_sqlite
def test_what_is_said_offline_waits(chat: Chat) -> None:
    page = chat.page
    chat.say("gated before")
    chat.expect_last("All four.")
    chat.expect_idle()
    page.context.set_offline(True)
    chat.say("gated waiting")
    expect(page.locator("#connection")).to_contain_text("Nothing is lost")
    expect(chat.doing).to_have_text("Sending…")
    # What has not been sent can be taken back.
    page.get_by_role("button", name="Stop", exact=True).click()
    chat.expect_idle()
    expect(chat.message).to_have_value("gated waiting")
    chat.message.press("Enter")
    expect(chat.doing).to_have_text("Sending…")
    page.context.set_offline(False)
    expect(page.locator("#connection")).to_have_text("Connected again")
    chat.expect_last("All four.")
    chat.expect_idle()
    assert len(chat.messages()) == 4
    chat.watch.complaints.clear()


@on_postgres
def test_two_tabs_show_the_same(chat: Chat, site: Site) -> None:
    chat.say("gated tabs")
    chat.expect_last("All four.")
    with chat.page.context.new_page() as other_page:
        other = Chat(other_page, chat.watch, chat.pictures)
        other_page.goto(chat.page.url)
        other.expect_last("All four.")
        site.close_gate("two")
        chat.say("speaker two")
        for tab in (chat, other):
            words = tab.page.locator("#conversation .message__text:visible").last
            expect(words).to_have_text(re.compile(r"^before\s*$"))
        site.open_gate("two")
        for tab in (chat, other):
            tab.expect_last("before after")
            tab.expect_idle()
        assert chat.messages() == other.messages()


@on_postgres
def test_a_question_stays_open_beside_another(chat: Chat, site: Site) -> None:
    page = chat.page
    chat.turn(lambda: chat.say("create invoice"))
    chat.turn(lambda: chat.say("What is an SSE stream?"))
    bar = page.get_by_role("button", name="Leave the question")
    expect(bar).to_be_visible()
    expect(chat.message).to_have_attribute("placeholder", "Write your answer")
    # What was read as it came is read on the server.
    unread = "SELECT count(*) FROM workflows_session WHERE unread AND key = '{}'"
    key = page.locator("#chat").get_attribute("data-session")
    eventually(lambda: site.value(unread.format(key)) == 0)
    # A search that doesn't find it leaves its title.
    page.get_by_label("Search the conversations").fill("nothing has these words")
    expect(page.get_by_text("Nothing was found.")).to_be_visible()
    expect(page.locator("#title")).to_have_text("create invoice")
    page.keyboard.press("Control+Shift+O")
    expect(page.locator("#welcome")).to_be_visible()
    expect(bar).to_be_hidden()
    expect(chat.message).to_have_attribute("placeholder", "Write a message")


@on_postgres
def test_a_new_conversation_is_not_asked_for_before_it_exists(chat: Chat) -> None:
    """A look at the old one, that was to come soon, asks for no history of the new one: a 404."""
    page = chat.page
    page.get_by_role("button", name="Create an invoice", exact=True).click()
    page.evaluate(LEAVE_AT_THE_END)
    expect(page.locator("#welcome")).to_be_visible()


def test_conversations_are_found_renamed_and_deleted(chat: Chat) -> None:
    page = chat.page
    chat.say("gated cobalt")
    chat.expect_last("All four.")
    page.get_by_role("button", name="New conversation").click()
    chat.say("gated vermilion")
    chat.expect_last("All four.")
    page.get_by_label("Search the conversations").fill("cobalt")
    items = page.locator(".conversations__link")
    expect(items).to_have_count(1)
    page.get_by_role("button", name="More about “gated cobalt”").click()
    assert_accessible(page)
    page.get_by_role("menuitem", name="Rename").click()
    assert_accessible(page)
    page.get_by_role("textbox", name="Rename the conversation").fill("Blue things")
    page.get_by_role("button", name="Rename", exact=True).click()
    expect(page.get_by_role("link", name="Blue things")).to_be_visible()
    page.get_by_label("Search the conversations").fill("")
    expect(page.get_by_role("link", name="gated vermilion")).to_be_visible()
    page.get_by_role("button", name="More about “Blue things”").click()
    page.get_by_role("menuitem", name="Pin").click()
    pinned = page.get_by_role("heading", name="Pinned")
    expect(pinned).to_be_visible()
    more = page.get_by_role("button", name="More about “Blue things”")
    expect(more).to_be_focused()
    # What another device changes closes no menu.
    more.press("Enter")
    blue, red = (items.nth(place).get_attribute("href") for place in (0, 1))
    page.evaluate(CHANGE, [blue, {"pinned": False}])
    page.evaluate(CHANGE, [red, {"title": "Red things"}])
    expect(page.locator("#title")).to_have_text("Red things")
    expect(pinned).to_be_hidden()
    expect(items.first).to_contain_text("Red things")
    page.get_by_role("menuitem", name="Delete").click()
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_role("link", name="Blue things")).to_have_count(0)
    chat.expect_last("All four.")
