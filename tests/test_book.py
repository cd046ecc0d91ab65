"""The documentation as a site: it is built without a broken link, and asks no other host."""

import ast
import os
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

from chatflow import workflows
from chatflow.workflows import testing

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = ROOT / ".docs-venv" / "bin" / "mkdocs"

# Nothing here touches a database: once is enough.
pytestmark = [
    pytest.mark.sqlite,
    pytest.mark.skipif(not PROGRAM.exists(), reason="`make docs` and `make test` install MkDocs"),
]

# What a page loads by itself; a link is followed by its reader only.
LOADED = {
    "script": ("src",),
    "img": ("src", "srcset"),
    "source": ("src", "srcset"),
    "iframe": ("src",),
    "link": ("href",),
}
# Of <link>, those that only name an address.
NAMED = {"canonical", "next", "prev"}


def build(folder: Path, site: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PROGRAM, "build", "--strict", "--site-dir", site],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    site = tmp_path_factory.mktemp("site")
    done = build(ROOT, site)
    assert done.returncode == 0, done.stderr
    return site


class Loads(HTMLParser):
    """The addresses that a page loads."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "link" and given.get("rel") in NAMED:
            return
        self.found += [given.get(name) or "" for name in LOADED.get(tag, ())]


def test_it_works(site: Path) -> None:
    """The first page is the README, with the links where the site has its pages."""
    first = (site / "index.html").read_text()
    assert "<h1" in first
    assert 'href="write-a-workflow.html"' in first
    assert 'href="contributing.html"' in first
    assert 'src="images/answer.png"' in first
    assert (site / "images" / "answer.png").exists()
    house = (site / "house.html").read_text()
    assert "<code>chatflow/workflows/store/</code>" in house
    # A file of the checkout is named, as the site doesn't have it.
    written = (site / "write-a-workflow.html").read_text()
    assert "<code>chatflow/workflows/registry.py</code>" in written
    assert "registry.py)" not in written


def test_nothing_comes_from_another_host(site: Path) -> None:
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 20
    loaded = {page: Loads(page).found for page in pages}
    assert min(map(len, loaded.values())) > 3
    away = re.compile(r"(https?:)?//")
    assert [(page, to) for page, found in loaded.items() for to in found if away.match(to)] == []
    sheets = "".join(sheet.read_text() for sheet in site.rglob("*.css"))
    assert "url(" in sheets
    assert re.findall(rf"(?:url\(|@import )[\"' ]*{away.pattern}", sheets) == []


def test_a_broken_link_fails(tmp_path: Path) -> None:
    for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", ".env.example"):
        shutil.copy(ROOT / name, tmp_path)
    for name in ("bin", "docs"):
        shutil.copytree(ROOT / name, tmp_path / name)
    (tmp_path / "chatflow").symlink_to(ROOT / "chatflow")
    shutil.copy(ROOT / "mkdocs.yml", tmp_path)
    broken = ["nowhere.md", "memory.md#nowhere", "reference/nowhere.md", "../docs/away.md"]
    with (tmp_path / "docs" / "models.md").open("a") as page:
        page.writelines(f"\n[broken]({target})\n" for target in broken)
    (tmp_path / "docs" / "forgotten.md").write_text("# A page that is in no menu\n")
    done = build(tmp_path, tmp_path / "site")
    assert done.returncode != 0
    warned = [line for line in done.stderr.splitlines() if line.startswith("WARNING")]
    assert len(warned) == len(broken) + 1
    assert "forgotten.md" in done.stderr


@pytest.mark.parametrize(
    ("page", "names"),
    [("workflows", workflows.__all__), ("testing", testing.__all__)],
)
def test_the_reference_has_every_public_name(page: str, names: list[str], site: Path) -> None:
    text = (site / "reference" / f"{page}.html").read_text()
    described = set(re.findall(r'id="chatflow\.workflows\.[\w.]*?(\w+)"', text))
    assert set(names) - described == set()


def test_the_reference_has_every_verb(site: Path) -> None:
    text = (site / "reference" / "workflows.html").read_text()
    code = ast.parse((ROOT / "chatflow/workflows/running/context.py").read_text())
    [context] = [n for n in code.body if isinstance(n, ast.ClassDef) and n.name == "Context"]
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    verbs = {node.name for node in context.body if isinstance(node, functions)} - {"__init__"}
    assert len(verbs) > 30
    assert [verb for verb in verbs if f'Context.{verb}"' not in text] == []


def test_the_reference_has_every_command_and_setting(site: Path) -> None:
    commands = (site / "reference" / "commands.html").read_text()
    paths = ROOT.glob("chatflow/**/management/commands/[a-z]*.py")
    assert [path.stem for path in paths if f'<h2 id="{path.stem}"' not in commands] == []
    assert "Only those that failed more than N hours ago." in commands
    settings = (site / "reference" / "settings.html").read_text()
    named = re.findall(r"^# ([A-Z][A-Z0-9_]+)=", (ROOT / ".env.example").read_text(), re.M)
    assert [name for name in named if name not in settings] == []
