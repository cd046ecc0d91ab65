"""No text keeps a pattern busy: each of the project's takes linear time, also those that come.

Python's engine tries again from each character, and within the repeats of a pattern, holding the
whole process meanwhile. Here every pattern gets texts that are made to have it do so, of its own
parts: what takes four times the text, and much more than four times as long, is found.
"""

import ast
import importlib
import re
import time
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import permutations, product
from types import ModuleType
from typing import Any

import pytest

from chatflow.workflows.dialogue import languages
from chatflow.workflows.knowledge.languages import stop_words
from tests.test_structure import MODULES
from workflows.invoicing import grammar

# Python's own parser of patterns; its older name warns.
# They are the same on PostgreSQL.
pytestmark = pytest.mark.sqlite

parser: Any = importlib.import_module("re._parser")
OPCODES: Any = importlib.import_module("re._constants")

METHODS = {"search", "match", "fullmatch", "sub", "subn", "split", "findall", "finditer"}
Text = Any
Use = Callable[[Text], Any]

# What patterns that are put together at run time look like, by the function that does so.
BUILT: dict[str, list[re.Pattern[Any]]] = {
    "chatflow.workflows.dialogue.answers.chosen": [re.compile(r"(?<!\w)a\ a(?!\w)")],
    "chatflow.workflows.dialogue.languages.base.reason": [
        each.reason for each in languages.LANGUAGES
    ],
    "chatflow.workflows.dialogue.languages.base.hedged": [
        each.hedged for each in languages.LANGUAGES
    ],
    "chatflow.workflows.dialogue.languages.base.number": [
        each.number for each in languages.LANGUAGES
    ],
    "chatflow.workflows.knowledge.languages.__init__": [
        *{each.unspaced for each in stop_words().values()}
    ],
    "chatflow.workflows.running.memory.quote": [re.compile(r"<(?=[\s/]*summary)", re.IGNORECASE)],
    "chatflow.workflows.running.routing.find_trigger": [re.compile(r"(?<!\w)a\ a(?!\w)")],
}
# What cleans each text before the patterns of a package see it.
CLEANED: dict[str, Callable[[str], str]] = {"workflows.invoicing": grammar.clean}

# Characters, and how much longer four times as many may take: twice that, for noise.
SHORT, LONG, MOST = 1000, 4000, 8.0
# Seconds of CPU. What takes less with few characters isn't looked at again, and what takes less
# with many harms nobody.
SUSPICIOUS, HARMLESS = 0.0004, 0.004
FEW = (16, 19, 23, 28, 34, 41, 50, 60, 100)


def calls(module: str) -> Iterator[tuple[str, ast.Call]]:
    """Yield the calls of functions of ``re`` in a module, and the function that they are in."""
    tree = ast.parse(MODULES[module].read_text())
    places = {
        inner: getattr(outer, "name", "")
        for outer in ast.walk(tree)
        if isinstance(outer, ast.FunctionDef | ast.AsyncFunctionDef)
        for inner in ast.walk(outer)
    }
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and ast.unparse(node.func.value) == "re"
            and node.func.attr in METHODS | {"compile"}
        ):
            yield places.get(node, ""), node


def evaluate(node: ast.expr, module: ModuleType) -> Any:
    """Return the value of an expression; None where it depends on a function's own names."""
    try:
        return eval(compile(ast.Expression(node), "pattern", "eval"), dict(vars(module)))
    except NameError:
        return None


def flags_of(call: ast.Call, module: ModuleType) -> int:
    written = [*call.args[1:], *(each.value for each in call.keywords)]
    found = [evaluate(each, module) for each in written]
    return sum(each for each in found if isinstance(each, re.RegexFlag))


def held(value: Any) -> Iterator[re.Pattern[Any]]:
    """Yield the patterns in a module's variable."""
    if isinstance(value, re.Pattern):
        yield value
    for inner in value if isinstance(value, list | tuple) else ():
        yield from held(inner)


@lru_cache
def uses() -> dict[str, set[str]]:
    """Return the methods called on each name, anywhere, and on any variable of each module."""
    found: dict[str, set[str]] = {}
    for module, path in MODULES.items():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and node.attr in METHODS:
                owner = ast.unparse(node.value).split(".")[-1]
                found.setdefault(owner, set()).add(node.attr)
                # Those of a pattern that was passed on; texts can be split too.
                if owner.islower() and owner != "re" and node.attr != "split":
                    found.setdefault(module, set()).add(node.attr)
    return found


def collected() -> Iterator[tuple[str, re.Pattern[Any], str]]:
    """Yield every pattern of the project: whose it is, itself, and the method it is used by."""
    for name in MODULES:
        if "re" not in [each.id for each in names(name)]:
            continue
        module = importlib.import_module(name)
        for variable, value in vars(module).items():
            for pattern in held(value):
                for method in sorted(uses().get(variable) or uses().get(name) or {"search"}):
                    yield name, pattern, method
        for _, call in calls(name):
            method = call.func.attr if isinstance(call.func, ast.Attribute) else ""
            written = evaluate(call.args[0], module)
            if isinstance(written, str | bytes) and method != "compile":
                yield name, re.compile(written, flags_of(call, module)), method
    for home, patterns in BUILT.items():
        for pattern in patterns:
            yield home, pattern, "search" if home.endswith(("e.quote", "chosen")) else "fullmatch"


def names(module: str) -> list[ast.Name]:
    tree = ast.parse(MODULES[module].read_text())
    return [node for node in ast.walk(tree) if isinstance(node, ast.Name)]


# Texts that are made of a pattern's parts.


def shortest(tree: Any) -> str:
    """Return a short text that the parsed pattern matches, but for what it looks around for."""
    return "".join(one(*each) for each in tree)


def one(op: Any, argument: Any) -> str:
    if op is OPCODES.LITERAL:
        return chr(argument)
    if op in (OPCODES.IN, OPCODES.NOT_LITERAL, OPCODES.ANY):
        return member(op, argument)
    if op is OPCODES.BRANCH:
        return shortest(argument[1][0])
    if op is OPCODES.SUBPATTERN:
        return shortest(argument[3])
    if op in (OPCODES.MAX_REPEAT, OPCODES.MIN_REPEAT, OPCODES.POSSESSIVE_REPEAT):
        least: int = argument[0]
        return shortest(argument[2]) * least
    return ""


def member(op: Any, argument: Any) -> str:
    """Return a character that the class has."""
    found: Any = parser.SubPattern(parser.State(), [(op, argument)])
    code: Any = importlib.import_module("re._compiler")
    fits: re.Pattern[str] = code.compile(found)
    candidates = "a1 ,.\n!-é/<>@\u2603"
    literal = [chr(value) for kind, value in _items(argument) if kind is OPCODES.LITERAL]
    return next((each for each in [*literal, *candidates] if fits.fullmatch(each)), "")


def _items(argument: Any) -> list[Any]:
    return argument if isinstance(argument, list) else []


def parts(tree: Any) -> Iterator[str]:
    for op, argument in tree:
        yield one(op, argument)
        if op is OPCODES.BRANCH:
            inner = argument[1]
        elif op is OPCODES.SUBPATTERN:
            inner = [argument[3]]
        elif op in (OPCODES.MAX_REPEAT, OPCODES.MIN_REPEAT, OPCODES.POSSESSIVE_REPEAT):
            inner = [argument[2]]
        elif op in (OPCODES.ASSERT, OPCODES.ASSERT_NOT):
            inner = [argument[1]]
        else:
            inner = []
        for each in inner:
            yield shortest(each)
            yield from parts(each)


def beginnings(tree: Any) -> Iterator[str]:
    """Yield what stands before each part of the pattern that isn't a mere character."""
    found = ""
    for op, argument in tree:
        if op is not OPCODES.LITERAL:
            yield found
        found += one(op, argument)


def hostile(pattern: re.Pattern[Any]) -> Iterator[tuple[str, str, str]]:
    """Yield the beginning, the repeated part and the end of each text."""
    text = (
        pattern.pattern if isinstance(pattern.pattern, str) else pattern.pattern.decode("latin-1")
    )
    tree = parser.parse(text, pattern.flags & ~re.UNICODE)
    repeated = list(dict.fromkeys(filter(None, (*" 1a,", *parts(tree)))))[:12]
    pairs = [first + second for first, second in permutations(repeated[:5], 2)]
    starts = list(dict.fromkeys(beginnings(tree)))[:3]
    yield from product(starts, dict.fromkeys([*repeated, *pairs]), ["", "!\0"])


def make(pattern: re.Pattern[Any], home: str, made_of: tuple[str, str, str], length: int) -> Text:
    start, part, end = made_of
    text = (start + part * length)[:length] + end
    for package, clean in CLEANED.items():
        if home.startswith(package):
            text = clean(text)
    return text if isinstance(pattern.pattern, str) else text.encode("latin-1", "replace")


def seconds(use: Use, text: Text, tries: int = 1) -> float:
    """Return the CPU time of a call: of several the shortest, for the others met with noise."""
    found = []
    for _ in range(tries):
        begun = time.process_time()
        use(text)
        found.append(time.process_time() - begun)
    return min(found)


def using(pattern: re.Pattern[Any], method: str) -> Use:
    if method in ("sub", "subn"):
        return lambda text: pattern.sub(text[:0], text)
    if method == "finditer":
        return pattern.findall
    use: Use = getattr(pattern, method)
    return use


def is_slow(
    pattern: re.Pattern[Any], method: str, home: str, made_of: tuple[str, str, str]
) -> bool:
    """Say whether the pattern takes more than linear time for such texts."""
    use = using(pattern, method)
    # Step by step: exponential time shows soon, and would never end.
    if any(seconds(use, make(pattern, home, made_of, few)) > HARMLESS * MOST for few in FEW):
        return True
    short = make(pattern, home, made_of, SHORT)
    if seconds(use, short) < SUSPICIOUS:
        return False
    begun = seconds(use, short, tries=2)
    # What grows that fast shows it with half of it already.
    if begun > HARMLESS * MOST:
        return True
    grown = seconds(use, make(pattern, home, made_of, LONG), tries=2)
    return grown > HARMLESS and grown > MOST * begun


PATTERNS = list(dict.fromkeys(collected()))


@pytest.mark.parametrize(
    ("home", "pattern", "method"), PATTERNS, ids=[f"{home}-{how}" for home, _, how in PATTERNS]
)
def test_a_pattern_takes_linear_time(home: str, pattern: re.Pattern[Any], method: str) -> None:
    slow = next((each for each in hostile(pattern) if is_slow(pattern, method, home, each)), None)

    assert slow is None, f"{pattern.pattern!r} takes too long for {slow} ({method})"


@pytest.mark.parametrize(
    "written",
    [
        *(r"\s*x", r"for\s*\$?\s*\d", r"(\d+)\s*steps", r"<(?=\s*/?\s*b)", "a.*?b"),
        *("(a+)+$", "(a|aa)+$"),
    ],
)
def test_it_finds_what_is_slow(written: str) -> None:
    pattern = re.compile(written)
    assert any(is_slow(pattern, "search", "", each) for each in hostile(pattern))


def test_patterns_that_are_built_are_known() -> None:
    """Each function that puts a pattern together says in BUILT what comes of it."""
    unknown = set()
    for name in MODULES:
        if "re" not in [each.id for each in names(name)]:
            continue
        module = importlib.import_module(name)
        for place, call in calls(name):
            built = f"{name}.{place}" if place else name
            if place and evaluate(call.args[0], module) is None and built not in BUILT:
                unknown.add(built)

    assert not unknown


def test_it_sees_all() -> None:
    seen = {(home, pattern.pattern) for home, pattern, _ in PATTERNS}
    assert ("chatflow.environment", r"/?([\w.~-]+(/[\w.~-]+)*/?)?") in seen
    assert ("chatflow.workflows.knowledge.chunking", r"\n\s*\n") in seen
    assert len([home for home, _ in seen if home == "workflows.invoicing.review"]) > 10
