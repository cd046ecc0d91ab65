"""The links, settings and tests that the documentation names exist."""

import re
from ast import literal_eval
from collections.abc import Iterator
from pathlib import Path

import pytest

from chatflow.conf import DECLARED

ROOT = Path(__file__).resolve().parent.parent
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]

LINK = re.compile(r"\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.M | re.S)
CODE = re.compile(r"`([^`\n]+)`")
# In a shell block or an .env, or alone in backticks, as `DEBUG` or `DEBUG=true`.
ASSIGNED = re.compile(r"^(?:export |echo )?([A-Z][A-Z0-9_]+)=", re.M)
NAMED = re.compile(r"([A-Z][A-Z0-9_]+)(?:=.*)?")
PROOF = re.compile(r"`(tests/[\w/.]+)::(?:\w+::)?(\w+)`")

# Names in capitals that are no settings of Chatflow's.
OTHERS = {
    "CHATFLOW",
    # Where a reader puts his own.
    "YOUR_TOKEN", "YOUR_USER", "YOUR_REPOSITORY", "JOB_ID", "PASSWORD",
    # SQL, HTTP, signals, make and its variables.
    "LISTEN", "NOTIFY", "COMMIT", "POST", "GET", "SIGTERM", "SIGKILL", "SIGINT", "ARGS", "CLOSED",
    "PATCH", "DELETE", "UPDATE", "INSERT", "SELECT", "JSON", "ID", "WAL", "IMMEDIATE",
    # The file that has the settings, and an instruction of a Dockerfile.
    "ENV_FILE", "COPY",
    # The testing kit's answer that leaves a question open.
    "OPEN",
    # Django's own, and those of its framework for APIs.
    "DJANGO_SETTINGS_MODULE", "AUTHENTICATION_BACKENDS", "LOGGING", "INSTALLED_APPS",
    "TASKS", "QUEUES", "LOGIN_URL", "REST_FRAMEWORK", "STATIC_URL", "MIDDLEWARE",
    # OpenTelemetry's own, and what the doctor writes before its findings.
    "OTEL_TRACES_SAMPLER", "PROBLEM", "NOTE",
    # The apps that a project installs.
    "APPS",
    # Its name of django-q2's settings.
    "Q_CLUSTER",
    # AG-UI's events, and a type of its activities.
    "RUN_STARTED", "RUN_FINISHED", "RUN_ERROR", "CUSTOM", "PROGRESS",
    # The last words of queue_work's lines.
    "DONE", "FAIL", "CANCELLED", "RELEASED", "LOST",
}  # fmt: skip


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub gives to the page's headings."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text()), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links() -> Iterator[tuple[Path, str]]:
    for page in PAGES:
        for target in LINK.findall(FENCE.sub("", page.read_text())):
            if not re.match(r"[a-z]+:", target):
                yield page, target


@pytest.mark.parametrize(
    ("page", "target"), [pytest.param(*link, id=f"{name(link[0])}→{link[1]}") for link in links()]
)
def test_a_link_leads_somewhere(page: Path, target: str) -> None:
    path, _, anchor = target.partition("#")
    found = (page.parent / path).resolve() if path else page
    assert found.exists(), f"{target} is not there"
    if anchor:
        assert anchor in anchors(found), f"{target}: no such heading"


def named_settings(page: Path) -> set[str]:
    """Return the names that the page uses as settings, or seems to."""
    text = page.read_text()
    shell = [code for language, code in FENCE.findall(text) if language in ("bash", "ini", "env")]
    matches = map(NAMED.fullmatch, CODE.findall(FENCE.sub("", text)))
    return {*ASSIGNED.findall("\n".join(shell)), *(match[1] for match in matches if match)}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_setting_exists(page: Path) -> None:
    known = set(re.findall(r"^# ([A-Z][A-Z0-9_]+)=", (ROOT / ".env.example").read_text(), re.M))
    assert named_settings(page) - known - set(DECLARED) - OTHERS == set()


def test_every_page_is_linked_to() -> None:
    linked = {(page.parent / target.partition("#")[0]).resolve() for page, target in links()}
    assert set(PAGES) - linked - {ROOT / "README.md"} == set()


def test_every_key_of_the_settings_is_told() -> None:
    """In install.md's table, with its default."""
    page = (ROOT / "docs" / "install.md").read_text()
    rows = re.findall(r"^\| `([A-Z_]+)` \| `(.*?)` \| (.+) \|$", page, re.M)
    assert {key: literal_eval(default) for key, default, _ in rows} == {
        key: list(each.default) if isinstance(each.default, tuple) else each.default
        for key, each in DECLARED.items()
    }


FILES = [
    path.relative_to(ROOT).as_posix()
    for room in ("chatflow", "workflows", "examples", "tests", "docs", "bench", "static")
    for path in (ROOT / room).rglob("*")
    if "__pycache__" not in path.parts
]


@pytest.mark.parametrize("page", ["docs/house.md", "docs/libraries.md", "CONTRIBUTING.md"])
def test_a_file_that_is_named_is_there(page: str) -> None:
    """By its whole path or by the end of it, as `lifecycle/claims.py`."""
    named = re.findall(r"`([\w./-]+(?:/|\.py|\.md))`", (ROOT / page).read_text())
    ends = [f"/{path}" for path in FILES]
    rooms = {f"{end}/" for end in ends}
    lost = [
        path
        for path in named
        if "NAME" not in path
        and not any(f"/{path}" == each or each.endswith(f"/{path}") for each in (*ends, *rooms))
        and not (ROOT / path).exists()
    ]
    assert named
    assert not lost


def promises() -> dict[str, str]:
    """Return the items of guarantees.md's lists of promises, by the promise itself."""
    page, _, _ = (ROOT / "docs" / "guarantees.md").read_text().partition("## What is not promised")
    items = re.findall(r"^- \*\*(.+?)\*\*\n((?:  [^\n]+\n)+)", page, re.M | re.S)
    assert len(items) == page.count("\n- ")
    return {" ".join(promise.split()): rest for promise, rest in items}


@pytest.mark.parametrize("promise", promises())
def test_a_promise_has_a_proof_that_exists(promise: str) -> None:
    proofs = PROOF.findall(promises()[promise])
    assert len(proofs) == promises()[promise].count("- `tests/") > 0
    for path, test in proofs:
        defined = re.search(rf"^ *(async )?def {test}\(", (ROOT / path).read_text(), re.M)
        assert defined, f"{path} has no {test}"


def test_what_is_defended_is_shown() -> None:
    """Each row of security.md's tables names a test or its file."""
    page, _, _ = (ROOT / "docs" / "security.md").read_text().partition("## What is left to you")
    rows = [line for line in page.splitlines() if line.startswith("| ") and "---" not in line]
    rows = [row for row in rows if not row.startswith("| against ")]
    assert len(rows) > 20
    assert [row for row in rows if "`tests/" not in row] == []
    proofs = PROOF.findall(page)
    assert len(proofs) > 20
    for path, test in proofs:
        defined = re.search(rf"^(async )?def {test}\(", (ROOT / path).read_text(), re.M)
        assert defined, f"{path} has no {test}"
