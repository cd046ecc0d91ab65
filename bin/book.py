"""What MkDocs is told beside mkdocs.yml: pages that are made, and links that lead out of docs/."""

import ast
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent
# The pages that stand beside docs/, and what they are called in the site.
BESIDE = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "reporting.md",
    ".env.example": "reference/settings.md",
}
ORIGINS = {page: name for name, page in BESIDE.items()}

# A block of code, which stays as it is, or a link.
PART = re.compile(
    r"^ *```.*?^ *```$|(?P<mark>!?)\[(?P<label>[^]]*)\]\((?P<target>[^)\s]+)\)", re.M | re.S
)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Leave out a script from another host: pages that are opened on a disk have no search."""
    polyfills = config.extra["polyfills"]
    config.extra["polyfills"] = [each for each in polyfills if "//" not in each]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that aren't in docs/."""
    made = {
        page: (ROOT / name).read_text() for name, page in BESIDE.items() if name.endswith(".md")
    }
    made["reference/settings.md"] = describe_settings()
    made["reference/commands.md"] = describe_commands()
    for page, text in made.items():
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Lead links to where the site has their pages; those to other files become their names."""
    here = page.file.src_uri
    return PART.sub(lambda part: part[0] if part["target"] is None else lead(part, here), markdown)


def lead(link: re.Match[str], here: str) -> str:
    """Return a link as the site has it, on the page *here*."""
    label, target = link["label"], link["target"]
    path, _, anchor = target.partition("#")
    if not path or re.match(r"[a-z]+:", target):
        return link[0]
    folder = posixpath.dirname(ORIGINS.get(here, f"docs/{here}"))
    name = posixpath.normpath(posixpath.join(folder, path))
    if name not in BESIDE and not name.startswith("docs/"):
        words = label.strip("`")
        return f"`{name}`" if name.endswith(words) else f"{label} (`{name}`)"
    there = BESIDE.get(name, name.removeprefix("docs/"))
    address = posixpath.relpath(there, posixpath.dirname(here) or ".")
    return f"{link['mark']}[{label}]({address}{anchor and f'#{anchor}'})"


# Pages that are made. In place of what a running command fills in:
FILLED = "…"


def describe_settings() -> str:
    """Make a page of .env.example."""
    text = (ROOT / ".env.example").read_text()
    head, *groups = re.split(r"^# --- (.+) ---\n", text, flags=re.M)
    pages = zip(groups[::2], groups[1::2], strict=True)
    shown = [f"## {title}\n\n```ini\n{lines.strip()}\n```\n" for title, lines in pages]
    return "\n".join(
        [
            "# Settings\n",
            "Each line is an environment variable, or a line of `.env`, with its default (or an",
            "example where that is empty). In a project of your own those of Chatflow are keys of",
            "`CHATFLOW = {…}`.\n",
            f"```text\n{re.sub('^# ?', '', head, flags=re.M).strip()}\n```\n",
            *shown,
        ]
    )


def describe_commands() -> str:
    """Make a page of the management commands, by what they say of themselves."""
    parts = ["# Commands\n", "Each is `manage.py NAME`; `--help` says more.\n"]
    for path in sorted(ROOT.glob("chatflow/**/management/commands/*.py"), key=lambda p: p.stem):
        code = ast.parse(path.read_text())
        said = next(words_of(code, "help"), "") or docstring_of(code)
        if said:
            parts.append(f"## {path.stem}\n\n{said}\n")
            parts += [f"- {option}" for option in options_of(code)]
            parts.append("")
    return "\n".join(parts)


def words_of(code: ast.Module, name: str) -> Iterator[str]:
    """Yield what is assigned to the name, but for further sentences that are filled in."""
    for node in ast.walk(code):
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            first, *rest = re.split(r"(?<=\.) ", read(node.value))
            yield " ".join([first, *(each for each in rest if FILLED not in each)])


def docstring_of(code: ast.Module) -> str:
    classes = [node for node in code.body if isinstance(node, ast.ClassDef)]
    return (ast.get_docstring(classes[0]) or "") if classes else ""


def options_of(code: ast.Module) -> Iterator[str]:
    """Yield the command's own arguments, with what it says of each."""
    for node in ast.walk(code):
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("add_argument"):
            said = [read(word.value) for word in node.keywords if word.arg == "help"]
            shown = [each for each in said if FILLED not in each]
            yield ": ".join([f"`{read(node.args[0])}`", *shown])


def read(node: ast.expr) -> str:
    """Return a text as it stands in the code."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(read(part) for part in parts)
        case _:
            return FILLED
