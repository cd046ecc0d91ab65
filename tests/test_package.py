"""The package that is built of this checkout: what is in it, and what it says of itself."""

import email.message
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Callable
from email.parser import Parser
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from trove_classifiers import classifiers

from chatflow import __version__

ROOT = Path(__file__).resolve().parent.parent

# Nothing here touches a database: once is enough.
pytestmark = pytest.mark.sqlite

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
# What a package isn't made for: this checkout's own site and demo.
SITE = {
    *(f"chatflow/{name}.py" for name in ("settings", "environment", "startup")),
    *(f"chatflow/{name}.py" for name in ("urls", "asgi", "wsgi")),
    "chatflow/management/commands/seed_demo.py",
    "chatflow/management/commands/prepare_demo.py",
}
# Which only that needs: its settings, and the invoicing example.
OF_THE_SITE = {"django-environ", "python-dotenv", "rapidfuzz", "pluralizer"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """Return the wheel, built by way of the sdist, as `make dist` builds it."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", f"--outdir={folder}", str(ROOT)],
        check=True,
        capture_output=True,
    )
    [built] = folder.glob("*.whl")
    [source] = folder.glob("*.tar.gz")
    assert source.name.removesuffix(".tar.gz") == built.name.removesuffix("-py3-none-any.whl")
    return zipfile.ZipFile(built)


@pytest.fixture(scope="module")
def names(wheel: zipfile.ZipFile) -> set[str]:
    return set(wheel.namelist())


@pytest.fixture(scope="module")
def metadata(wheel: zipfile.ZipFile) -> email.message.Message:
    [name] = [each for each in wheel.namelist() if each.endswith(".dist-info/METADATA")]
    return Parser().parsestr(wheel.read(name).decode())


def files(folder: str, pattern: str = "*") -> set[str]:
    """Return the files of a folder of this checkout that git would keep."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", folder],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return {each for each in listed.stdout.splitlines() if (ROOT / each).match(pattern)}


def test_the_package_is_all_that_is_in_it(names: set[str]) -> None:
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"chatflow"}
    assert not {name for name in names if "test_" in name or "node_modules" in name}


def test_its_modules_are_there_but_for_this_site(names: set[str]) -> None:
    modules = files("chatflow")
    assert modules > SITE
    assert "chatflow/migrations/0001_initial.py" in modules
    assert "chatflow/py.typed" in modules
    assert modules - names == SITE


def test_no_module_of_it_needs_this_site(wheel: zipfile.ZipFile, names: set[str]) -> None:
    gone = "|".join(Path(name).stem for name in SITE)
    imports = re.compile(
        rf"^ *(from|import) chatflow\.({gone})\b|^ *from chatflow import .*\b({gone})\b", re.M
    )
    modules = [name for name in names if name.endswith(".py")]
    assert {name for name in modules if imports.search(wheel.read(name).decode())} == set()


@pytest.mark.parametrize("folder", ["templates", "locale", "static"])
def test_what_stands_beside_it_is_inside(names: set[str], folder: str) -> None:
    expected = {f"chatflow/{name}" for name in files(folder) if name != "static/js/async-chat.js"}
    expected -= {name for name in expected if "/js/page/" in name or "sources.json" in name}
    assert len(expected) > 3
    assert {name for name in expected if name not in names} == set()


def test_every_script_finds_what_it_imports(wheel: zipfile.ZipFile, names: set[str]) -> None:
    scripts = [name for name in names if name.endswith(".js")]
    looked_at = 0
    for script in scripts:
        for target in re.findall(
            r"""["'](\.{1,2}/[\w./-]+\.js)["']""", wheel.read(script).decode()
        ):
            path = Path("/", script).parent.joinpath(target).resolve()
            # The example is there to be read: what runs is built of it.
            if "/js/page/" not in script:
                assert str(path)[1:] in names, f"{script} imports {target}"
                looked_at += 1
    assert looked_at > 20


def test_what_templates_name_is_in_it(wheel: zipfile.ZipFile, names: set[str]) -> None:
    for name in files("templates"):
        text = wheel.read(f"chatflow/{name}").decode()
        for static in re.findall(r"{% static '([^']+)' %}", text):
            assert f"chatflow/static/{static}" in names
        for template in re.findall(r"{% (?:extends|include) '([^']+)'", text):
            assert f"chatflow/templates/{template}" in names


def test_it_says_what_it_is(metadata: email.message.Message) -> None:
    assert metadata["Name"] == "django-chatflow"
    assert metadata["Version"].partition("+")[0] == __version__
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["License-Expression"] == "MIT"
    assert metadata["License-File"] == "LICENSE"
    assert (
        set(metadata.get_all("Provides-Extra", []))
        == set(EXTRAS)
        == {
            "ai",
            "postgres",
            "redis",
            "otel",
        }
    )
    assert set(metadata.get_all("Classifier", [])) <= set(classifiers)
    assert str(metadata.get_payload()).startswith("# Chatflow")


def wanted(lines: list[str]) -> dict[str, Requirement]:
    found = map(Requirement, lines)
    return {canonicalize_name(each.name): each for each in found}


def pins_of(name: str) -> dict[str, Requirement]:
    lines = (line.partition("#")[0].strip() for line in (ROOT / name).read_text().splitlines())
    return wanted([line for line in lines if line and not line.startswith("-")])


def test_it_takes_what_the_tests_ran_with() -> None:
    """Each requirement of the checkout is one of the package's, in a range that has its version."""
    pinned, tests = pins_of("requirements.txt"), pins_of("requirements-dev.txt")
    own = wanted(PROJECT["dependencies"])
    # The site does without; the tests have it.
    otel = wanted(EXTRAS["otel"])
    pinned |= {name: tests[name] for name in otel}
    extra = wanted([line for lines in EXTRAS.values() for line in lines])
    assert set(pinned) - OF_THE_SITE == set(own) | set(extra)
    for name, requirement in (own | extra).items():
        [pin] = pinned[name].specifier
        assert requirement.specifier.contains(pin.version), name
        assert requirement.extras <= pinned[name].extras


def test_libraries_that_are_leaned_on_are_exact() -> None:
    for name in ("django-q2", "django-eventstream", "uvicorn"):
        [specifier] = wanted(PROJECT["dependencies"])[name].specifier
        assert specifier.operator == "=="


# bin/version.py


@pytest.fixture(scope="module")
def version() -> Callable[[Path], str]:
    loader = SourceFileLoader("version", str(ROOT / "bin/version.py"))
    spec = spec_from_loader("version", loader)
    assert spec is not None
    loader.exec_module(module := module_from_spec(spec))
    found: Callable[[Path], str] = module.version
    return found


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "chatflow").mkdir()
    (tmp_path / "chatflow/__init__.py").write_text('__version__ = "1.2"\n')
    run_git(tmp_path, "init", "--quiet")
    run_git(tmp_path, "add", ".")
    run_git(tmp_path, "commit", "--quiet", "--message=First")
    return tmp_path


def run_git(folder: Path, *arguments: str) -> None:
    who = ["-c", "user.name=Alice", "-c", "user.email=alice@example.com"]
    subprocess.run(["git", "-C", folder, *who, *arguments], check=True)


def test_a_committed_checkout_is_the_version_itself(
    checkout: Path, version: Callable[[Path], str]
) -> None:
    assert version(checkout) == "1.2"
    # No wheel has it.
    (checkout / "notes.txt").touch()
    assert version(checkout) == "1.2"


@pytest.mark.parametrize("name", ["chatflow/__init__.py", "static/new.js"])
def test_a_wheel_of_what_is_not_committed_says_so(
    name: str, checkout: Path, version: Callable[[Path], str]
) -> None:
    (checkout / name).parent.mkdir(exist_ok=True)
    with (checkout / name).open("a") as file:
        file.write("# more\n")
    assert version(checkout) == "1.2+dirty"


def test_an_sdist_is_built_without_git(
    checkout: Path, version: Callable[[Path], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    # A checkout where git can't be asked isn't called clean.
    assert version(checkout) == "1.2+dirty"
    (checkout / ".git").rename(checkout / "elsewhere")
    assert version(checkout) == "1.2"
