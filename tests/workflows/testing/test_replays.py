"""A recorded job, exported and run against the code of another day."""

import inspect
import json
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from chatflow.workflows import Context, registry, services, workflow
from chatflow.workflows.testing import OPEN, Approve, Turn
from chatflow.workflows.testing.redaction import HIDDEN, HIDDEN_EMAIL, NAMES, Redaction, is_like
from chatflow.workflows.testing.worker import run_waiting

Run = Any
Export = Callable[..., Path]


def find_customer(name: str) -> dict[str, Any]:
    return {"name": name, "email": "ada@example.com", "open": 3, "api_token": "sk-123"}


def send(number: int) -> None:
    sent.append(number)


sent: list[int] = []


def dunning(ctx: Context) -> Any:
    customer = ctx.step("Find", find_customer, ctx.ask("Which customer?"))
    if not ctx.confirm(f"Remind {customer['name']} of {customer['open']} invoices?"):
        return "Nothing was sent."
    words = ctx.ai(f"Write to {customer['name']}")
    ctx.write(words)
    for number in range(2):
        ctx.step("Send", send, number)
    return "Sent."


@pytest.fixture
def recorded(run: Run) -> Turn:
    sent.clear()
    workflow("dunning")(dunning)
    turn: Turn = run(
        "dunning", "remind Ada", answers=["Ada Lovelace", True], model=["Dear Ada, pay."]
    )
    assert turn.response == "Sent."
    sent.clear()
    return turn


@pytest.fixture
def export(tmp_path: Path) -> Export:
    def export(turn: Turn, *options: str) -> Path:
        out = StringIO()
        call_command("export_job", turn.job.public_id, *options, stdout=out, stderr=StringIO())
        path = tmp_path / "case.json"
        path.write_text(out.getvalue())
        return path

    return export


def test_the_same_code_goes_the_same_way(recorded: Turn, export: Export, replay: Any) -> None:
    turn = replay(export(recorded))

    assert turn.response == "Sent."
    # No step was run, and no model asked.
    assert (sent, turn.steps, turn.prompts) == ([], [], [])


def test_what_is_exported(recorded: Turn, export: Export) -> None:
    text = export(recorded).read_text()

    for hidden in ("Ada", "Lovelace", "ada@", "sk-123"):
        assert hidden not in text, hidden
    case = json.loads(text)
    assert (case["workflow"], case["message"], case["completed"]) == ("dunning", HIDDEN, True)
    names = [each["name"] for each in case["record"]]
    assert names == [
        "ask: Which customer?",
        "Find",
        f"ask: Remind {HIDDEN} of 3 invoices?",
        "Asking the model#1 > Asking the model",
        "Send",
        "Send",
    ]
    assert case["record"][1]["result"] == {
        "name": HIDDEN,
        "email": HIDDEN_EMAIL,
        "open": 3,
        "api_token": HIDDEN,
    }
    assert case["record"][2]["result"] is True


def test_more_or_less_is_hidden(recorded: Turn, export: Export, replay: Any) -> None:
    path = export(recorded, "--redact", "OPEN", "--keep", "message")

    case = json.loads(path.read_text())
    assert case["message"] == "remind Ada"
    assert case["record"][1]["result"]["open"] == 0


def change(old: str, new: str) -> None:
    """Register the workflow as somebody has changed it, and its module was imported again."""
    source = inspect.getsource(dunning)
    assert old in source
    names = dict(globals())
    exec(compile(source.replace(old, new), __file__, "exec"), names)
    workflow("dunning")(names["dunning"])


@pytest.mark.parametrize(
    ("old", "new", "lines"),
    [
        # A step that is renamed, that comes on top, in front or at the end, or that is gone.
        ('"Find"', '"Look up"', ["- Find", "+ Look up"]),
        ("    words =", '    ctx.step("Think", len, "")\n    words =', ["+ Think"]),
        ('    return "Sent."', '    ctx.step("File", len, "")\n    return "Sent."', ["+ File"]),
        ("range(2)", "range(1)", ["- Send"]),
        ("range(2)", "range(3)", ["+ Send"]),
        ("Which customer?", "Who?", ["- ask: Which customer?", "+ ask: Who?"]),
        ("if not ctx.confirm", "if ctx.confirm", ["- Send"]),
    ],
)
def test_other_steps_fail_with_the_difference(
    recorded: Turn, export: Export, replay: Any, old: str, new: str, lines: list[str]
) -> None:
    path = export(recorded)
    change(old, new)

    with pytest.raises(AssertionError, match="'dunning' has changed") as raised:
        replay(path)

    for line in lines:
        assert line in str(raised.value).splitlines()
    assert sent == []


def test_code_between_the_steps_may_change(recorded: Turn, export: Export, replay: Any) -> None:
    path = export(recorded)
    change('return "Sent."', 'return "All is sent."')

    assert replay(path).response == "All is sent."


def test_code_that_fails_today(recorded: Turn, export: Export, replay: Any) -> None:
    path = export(recorded)
    change('return "Sent."', "raise KeyError('sent')")

    with pytest.raises(AssertionError, match="'dunning' fails today: KeyError"):
        replay(path)


def test_an_open_question_and_a_failure(
    run: Run, export: Export, replay: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was recorded before is compared; what was to come nobody knows."""
    workflow("dunning")(dunning)

    assert replay(export(run("dunning", answers=[OPEN]))).response == "Which customer?"

    @workflow("broken")
    def broken(ctx: Context) -> str:
        ctx.step("First", len, "")
        return str(ctx.step("Second", lambda: 1 // 0))

    failed = run("broken")
    assert failed.state == "failed"
    path = export(failed)
    assert replay(path).state != "completed"

    monkeypatch.delitem(registry._workflows, "broken")

    @workflow("broken")
    def other(ctx: Context) -> str:
        return ctx.step("Other", str, "")

    with pytest.raises(AssertionError, match=r"(?s)- First.*\+ Other"):
        replay(path)


def test_approvals_and_coroutines(run: Run, export: Export, replay: Any) -> None:
    @workflow("refund")
    async def refund(ctx: Context) -> str:
        await ctx.astep("Check", len, "abc")
        approval = await ctx.aapprove("Refund it?")
        return f"{approval.approved}: {approval.reason}"

    path = export(run("refund", answers=[Approve("it was late")]))

    assert replay(path).response == f"True: {HIDDEN}"


def test_questions_in_steps_and_names_that_become_the_same(
    run: Run, export: Export, replay: Any
) -> None:
    @workflow("ask_both")
    def ask_both(ctx: Context) -> str:
        def ask(name: str) -> str:
            return ctx.ask(f"And {name}?")

        names = [ctx.step("Ask", ask, "who"), ctx.ask("Who else?")]
        for name in names:
            ctx.step(f"Invite {name}", len, name)
        return f"{len(names)} are invited."

    path = export(run("ask_both", answers=["Ada", "Grace"]))

    assert "Ada" not in path.read_text()
    assert "Grace" not in path.read_text()
    assert replay(path).response == "2 are invited."


def test_a_retry_goes_on_with_the_case(run: Run, export: Export, replay: Any) -> None:
    away = [True]

    def fetch() -> str:
        if away:
            raise OSError("Away.")
        return "There."

    @workflow("fetching")
    def fetching(ctx: Context) -> str:
        ctx.step("First", len, ctx.ask("What?"))
        return ctx.step("Fetch", fetch)

    failed = run("fetching", answers=["this"])
    assert replay(export(failed)).state == "cancelled"
    away.clear()
    services.retry(failed.job)
    run_waiting()

    assert replay(export(failed)).response == "There."


def test_the_number_in_the_admin_is_enough(run: Any) -> None:
    workflow("dunning")(dunning)
    job = run("dunning", answers=[OPEN]).job
    by_id, by_number = StringIO(), StringIO()
    call_command("export_job", job.public_id, stdout=by_id, stderr=StringIO())
    call_command("export_job", str(job.pk), stdout=by_number, stderr=StringIO())
    assert by_number.getvalue() == by_id.getvalue()


def test_there_must_be_such_a_job(db: None) -> None:
    with pytest.raises(CommandError, match="no such job"):
        call_command("export_job", "workflow_1")
    with pytest.raises(CommandError, match="no such job"):
        call_command("export_job", "123")


def test_another_format_is_refused(tmp_path: Path, replay: Any) -> None:
    (tmp_path / "case.json").write_text('{"format": 99}')

    with pytest.raises(ValueError, match="export the job again"):
        replay(tmp_path / "case.json")


def test_the_documentation_names_what_is_hidden() -> None:
    page = (Path(__file__).parents[3] / "docs" / "test-a-workflow.md").read_text()
    _, _, hidden = page.partition("- **Hidden**")

    assert [name for name in NAMES if f"`{name.strip('*')}`" not in hidden] == []


def test_redaction() -> None:
    redaction = Redaction(also=["tel"])

    assert redaction.redact(
        {
            "Password": "hunter2",
            "tel": [123, "456"],
            "content": {"title": "kept", "text": "gone"},
            "args": '{"to_email": "a@b.example", "amount": 5}',
            "email_confirmed": True,
            "text": "",
        }
    ) == {
        "Password": HIDDEN,
        "tel": [0, HIDDEN],
        "content": {"title": "kept", "text": HIDDEN},
        "args": '{"to_email": "redacted@example.com", "amount": 5}',
        "email_confirmed": True,
        "text": "",
    }
    assert redaction.forget("Is hunter2 gone?") == f"Is {HIDDEN} {HIDDEN}?"
    assert is_like("Is hunter2 gone?", f"Is {HIDDEN} gone?")
    assert not is_like("Was it hunter2?", f"Is {HIDDEN} gone?")
    assert is_like("a-b-c", f"a{HIDDEN}b{HIDDEN}{HIDDEN}c")
    assert not is_like("a-c", f"a{HIDDEN}b{HIDDEN}c")
    assert not is_like("ab", f"ab{HIDDEN}b")
    assert not is_like("a", "b")
