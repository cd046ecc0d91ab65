"""The house: imports go down only, and the two libraries are named where they belong.

Whoever adds a module puts it on a floor here.
"""

import ast
import re
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import chatflow.workflows
import workflows

ROOT = Path(__file__).resolve().parent.parent
ENGINE = "chatflow.workflows"

# The rooms, from the roof down. A module may import from its own room and those further down.
# A file named beside its room stands on a floor of its own there.
FLOORS = (
    "chatflow",
    "chatflow.project",
    "chatflow.serving",
    "chatflow.endpoints",
    "chatflow.development",
    "chatflow.streams",
    "chatflow.middleware",
    "chatflow.answers.schema",
    "chatflow.answers.bodies",
    "chatflow.signins",
    "chatflow.auth",
    "chatflow.access",
    # Their frames are JSON-RPC's answers, whose errors ask in which dialect they are told.
    "chatflow.dialects.a2a",
    "chatflow.dialects.mcp",
    "chatflow.answers",
    "chatflow.dialects",
    "chatflow.requests",
    "chatflow.wire",
    "chatflow.models",
    "chatflow.install",
    "chatflow.workflows.apps",
    "chatflow.workflows.cluster.apps",
    "chatflow.workflows.cluster.management",
    "chatflow.workflows.management",
    "chatflow.workflows.checks",
    "chatflow.workflows.cluster",
    "chatflow.workflows.testing",
    "chatflow.workflows.services",
    "chatflow.workflows.tasks",
    "chatflow.workflows.streaming",
    "chatflow.workflows.running",
    "chatflow.workflows.store",
    "chatflow.workflows.bells",
    "chatflow.workflows.ai",
    "chatflow.workflows.models",
    "chatflow.workflows.knowledge.management",
    "chatflow.workflows.knowledge.apps",
    "chatflow.workflows.knowledge",
    "chatflow.workflows.dialogue",
    "chatflow.workflows.permissions",
    "chatflow.workflows.registry",
    "chatflow.workflows.mistakes",
    "chatflow.workflows.commands",
    "chatflow.workflows.exceptions",
    "chatflow.workflows.metrics",
    "chatflow.workflows.logs",
    "chatflow.workflows.tracing",
    "chatflow.workflows.users",
    "chatflow.workflows.tenants",
    "chatflow.workflows.clock",
    "chatflow.workflows.loading",
    "chatflow.workflows.sizes",
    "chatflow.workflows.texts",
    "chatflow.workflows.histograms",
    "chatflow.workflows.db",
    "chatflow.conf",
    "chatflow.kinds",
)
# Inside of a room, from the top down, where the order is worth keeping.
STAIRS = {
    "chatflow.workflows.testing": (
        "plugin",
        "replays",
        "runs",
        "conversations",
        "turns",
        "stage",
        "worker",
        "time_travel",
        "answers",
        "script",
        "overrides",
        "cases",
        "redaction",
    ),
    "chatflow.workflows.services": (
        "offers",
        "on_behalf",
        "decisions",
        "starts",
        "files",
        "sessions",
        "conversations",
        "deactivation",
        "jobs",
        "reach",
        "turns",
        "feedback",
        "redaction",
        "words",
        "inline",
        "troubles",
        "figures",
        "usage",
        "workers",
        "queues",
        "lookups",
        "unsynced",
        "outages",
    ),
    "chatflow.workflows.running": (
        "runner",
        "pulse",
        "watchdog",
        "context",
        "misuse",
        "history",
        "retrieval",
        "guide",
        "model_routing",
        "ai_calls",
        "files",
        "model_requests",
        "approvals",
        "questions",
        "output",
        "steps",
        "record",
        "earlier_runs",
        "routing",
        "step_keys",
        "shared_pen",
        "event_writer",
        "memory",
        "ownership",
        "lanes",
        "attempt",
        "journal",
        "observed",
        "step_results",
    ),
    "chatflow.workflows.metrics": ("series", "sheets", "folder"),
    "chatflow.workflows.streaming": ("followers", "listeners", "readers", "storage"),
    "chatflow.workflows.store": (
        "pruning",
        "figures",
        "usage_figures",
        "new_jobs",
        "lifecycle",
        "task_runs",
        "changes",
        "events",
        "shown",
        "lookups",
        "rows",
        "outage",
        "database",
    ),
}
# The only modules that may name a library.
LIBRARIES = {
    "django_q": (
        "chatflow.workflows.cluster",
        "chatflow.operations.admin.django_q",
        "chatflow.settings",
    ),
    "django_tasks": ("chatflow.workflows.tasks.interface",),
    "django_eventstream": ("chatflow.workflows.streaming",),
    "rest_framework": ("chatflow",),
    "drf_spectacular": ("chatflow",),
    "knox": ("chatflow",),
    "csp": ("chatflow",),
    "prometheus_client": ("chatflow.endpoints.probes", "chatflow.workflows.metrics"),
    "jsonschema_rs": ("chatflow.workflows.dialogue",),
    "psycopg": ("chatflow.workflows.bells", "chatflow.workflows.store"),
    "pydantic_ai": (
        "chatflow.workflows.ai",
        "chatflow.workflows.knowledge",
        "chatflow.workflows.testing",
    ),
    "opentelemetry": ("chatflow.workflows.tracing",),
    "pytest": ("chatflow.workflows.testing.plugin",),
    "redis": ("chatflow.workflows.bells", "chatflow.settings"),
    "sentry_sdk": ("chatflow.settings",),
    "watchfiles": ("chatflow.development",),
}
# What is built on the engine, as anybody's own workflows are.
BUILT_ON_IT = ("chatflow.workflows.library", "workflows")
# Django's HTTP. The engine knows nothing of it.
HTTP = ("django.http", "django.urls", "django.shortcuts", "django.views", "django.middleware")


def modules() -> dict[str, Path]:
    """Return every module of the project, by its name."""
    found = {}
    for package in ("chatflow", "workflows"):
        for path in sorted((ROOT / package).rglob("*.py")):
            if "migrations" in path.parts:
                continue
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()
PACKAGES = {name for name, path in MODULES.items() if path.name == "__init__.py"}


@cache
def nodes(name: str) -> list[ast.AST]:
    """Return all that a module's text is made of."""
    return list(ast.walk(ast.parse(MODULES[name].read_text())))


def imported(name: str) -> Iterator[tuple[str, int]]:
    """Yield all that a module imports, wherever in it, with the line."""
    for node in nodes(name):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                own = name.split(".") if name in PACKAGES else name.split(".")[:-1]
                base = ".".join([*own[: len(own) - node.level + 1], *filter(None, [node.module])])
            for alias in node.names:
                # "from package import module" imports the module.
                submodule = f"{base}.{alias.name}"
                yield submodule if submodule in MODULES else base, node.lineno


def inside(name: str, packages: tuple[str, ...]) -> bool:
    """Whether a module is of these packages; ``chatflow`` stands for the HTTP edge alone."""
    return any(
        (name == package or name.startswith(f"{package}."))
        and (package != "chatflow" or not inside(name, (ENGINE,)))
        for package in packages
    )


def floor(name: str) -> str | None:
    """Return where a module stands: the longest of the names above that it begins with."""
    return max((place for place in FLOORS if inside(name, (place,))), key=len, default=None)


def graph() -> dict[str, set[str]]:
    return {
        name: {target for target, _ in imported(name) if target in MODULES and target != name}
        for name in MODULES
    }


def test_it_works() -> None:
    """The walk finds the imports: an upward one would be seen."""
    assert "chatflow.workflows.bells.postgres" in MODULES
    assert ("chatflow.workflows.models", 0) in {
        (target, 0) for target, _ in imported("chatflow.workflows.services.queues")
    }
    assert "chatflow.workflows.store.lifecycle" in graph()["chatflow.workflows.running.record"]
    assert (
        floor("chatflow.workflows.cluster.management.commands.qcluster")
        == "chatflow.workflows.cluster.management"
    )
    assert floor("chatflow.workflows.bells.redis") == "chatflow.workflows.bells"
    assert "workflows.invoicing.workflows" in MODULES


def test_every_module_stands_on_a_floor() -> None:
    lost = {
        name
        for name in MODULES
        if floor(name) is None and name != ENGINE and not inside(name, BUILT_ON_IT)
    }

    assert not lost, f"Put them into FLOORS: {sorted(lost)}"
    assert not [place for place in FLOORS if place not in MODULES], "FLOORS names what is gone."


def test_imports_go_down_only() -> None:
    upward = []
    for name in MODULES:
        here = floor(name)
        if here is None:
            continue
        for target, line in imported(name):
            there = floor(target)
            if inside(target, BUILT_ON_IT) and here != "chatflow":
                upward.append(f"{name}:{line} imports {target}, which is built on the engine")
            elif there and there != here and FLOORS.index(there) < FLOORS.index(here):
                upward.append(f"{name}:{line} imports {target}, which stands above it")

    assert not upward, "\n".join(upward)


@pytest.mark.parametrize("room", STAIRS)
def test_imports_go_down_inside_of_a_room(room: str) -> None:
    stairs = STAIRS[room]
    modules = [name for name in MODULES if name != room and inside(name, (room,))]

    def step(name: str) -> str:
        return name.removeprefix(f"{room}.").split(".")[0]

    upward = [
        f"{name}:{line} imports {target}, which stands above it"
        for name in modules
        for target, line in imported(name)
        if step(target) in stairs[: stairs.index(step(name))]
    ]

    assert {step(name) for name in modules} == set(stairs), "STAIRS names the room's files."
    assert not upward, "\n".join(upward)


def test_private_members_are_private() -> None:
    """In the room where a run's parts meet, none reaches behind the other's back."""
    strays = []
    for name in STAIRS["chatflow.workflows.running"]:
        tree = ast.parse(MODULES[f"chatflow.workflows.running.{name}"].read_text())
        for node in ast.walk(tree):
            if not isinstance(node, ast.Attribute):
                continue
            private = node.attr.startswith("_") and not node.attr.startswith("__")
            # os._exit and sys._current_frames are documented as public.
            if private and ast.unparse(node.value) not in ("self", "os", "sys"):
                strays.append(f"{name}:{node.lineno} touches {ast.unparse(node)}")

    assert not strays, "\n".join(strays)


@pytest.mark.parametrize("home", BUILT_ON_IT)
def test_what_is_built_on_the_engine_knows_its_public_api_only(home: str) -> None:
    """The library and the workflows of this checkout are written as everybody's own are."""
    private = [
        f"{name}:{line} imports {target}"
        for name in MODULES
        if inside(name, (home,))
        for target, line in imported(name)
        if inside(target, (ENGINE, "chatflow", *BUILT_ON_IT))
        and target != ENGINE
        and not inside(target, (home,))
    ]

    assert not private, "\n".join(private)


def test_the_public_api_is_light() -> None:
    """It is imported while Django still loads its apps: no models, but for the deferred Context."""
    assert {target for target, _ in imported(ENGINE) if target in MODULES} == {
        "chatflow.workflows.ai.messages",
        "chatflow.workflows.ai.tools",
        "chatflow.workflows.exceptions",
        "chatflow.workflows.registry",
        "chatflow.workflows.running.context",
    }


def test_the_short_import_of_the_checkout() -> None:
    """``from workflows import Context, workflow``."""
    assert workflows.__all__ == chatflow.workflows.__all__
    for name in workflows.__all__:
        assert getattr(workflows, name) is getattr(chatflow.workflows, name)
    with pytest.raises(AttributeError):
        _ = workflows.registry


def test_no_circles() -> None:
    """Not even through imports inside of functions."""
    edges = graph()
    # The one deferred import: see above.
    edges[ENGINE].discard("chatflow.workflows.running.context")
    try:
        TopologicalSorter(edges).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_library_is_named_where_it_belongs(library: str) -> None:
    homes = LIBRARIES[library]
    word = re.compile(rf"(?<![\w-]){library}(?!\w)")
    strays = []
    for name in MODULES:
        if inside(name, homes):
            continue
        strays += [
            f"{name}:{line} imports {target}"
            for target, line in imported(name)
            if target.split(".")[0] == library
        ]
        for node in nodes(name):
            # A dotted path in a string is an import too.
            if (
                isinstance(node, ast.Constant)
                and isinstance(node.value, str)
                and word.fullmatch(node.value.split(".")[0])
                and "." in node.value
                and " " not in node.value
            ):
                strays.append(f"{name}:{node.lineno} names {node.value!r}")

    assert not strays, "\n".join(strays)


def test_the_edge_never_reaches_into_the_store() -> None:
    """It calls the verbs, and reads the models; how these are stored is the engine's alone."""
    inward = [
        f"{name}:{line} imports {target}"
        for name in MODULES
        if inside(name, ("chatflow",))
        for target, line in imported(name)
        if inside(target, ("chatflow.workflows.store",))
    ]

    assert not inward, "\n".join(inward)


def test_nothing_takes_the_default_database_for_ours() -> None:
    """Routers may lead our tables elsewhere: workflows/db.py knows the connection to them."""
    strays = []
    for name in MODULES:
        if name in ("chatflow.workflows.db", "chatflow.settings"):
            continue
        for node in nodes(name):
            match node:
                case ast.ImportFrom(module="django", names=names):
                    wrong = any(each.name == "db" for each in names)
                case ast.ImportFrom(module="django.db", names=names):
                    taken = {"connection", "transaction", "DEFAULT_DB_ALIAS"}
                    wrong = not taken.isdisjoint(each.name for each in names)
                case ast.ImportFrom(module="django.db.transaction"):
                    wrong = True
                case ast.Import(names=names):
                    wrong = any(each.name.startswith("django.db") for each in names)
                case ast.Subscript(value=whole, slice=ast.Constant(value="default")):
                    wrong = ast.unparse(whole).endswith(("connections", "DATABASES"))
                case _:
                    wrong = False
            if wrong:
                strays.append(f"{name}: {ast.unparse(node)}")

    assert not strays, "\n".join(strays)


def test_the_engine_knows_nothing_of_http() -> None:
    strays = [
        f"{name}:{line} imports {target}"
        for name in MODULES
        if inside(name, (ENGINE,))
        for target, line in imported(name)
        if inside(target, HTTP)
    ]

    assert not strays, "\n".join(strays)


def at_import(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what is evaluated when a module is imported: all but what functions do."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        defaults = [each for each in node.args.kw_defaults if each is not None]
        inside: list[ast.AST] = [*node.decorator_list, *node.args.defaults, *defaults]
    elif isinstance(node, ast.Lambda):
        inside = []
    else:
        yield node
        inside = [*ast.iter_child_nodes(node)]
    for each in inside:
        yield from at_import(each)


def test_no_setting_is_read_while_a_module_is_imported() -> None:
    """They may not be there yet, or be others later."""
    early = [
        f"{name}:{node.lineno} reads {ast.unparse(node)}"
        for name, path in MODULES.items()
        if name != "chatflow.settings"
        for node in at_import(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute)
        and ast.unparse(node.value) in ("conf", "settings")
        and node.attr.isupper()
        # Django's own way to name the model.
        and node.attr != "AUTH_USER_MODEL"
    ]

    assert not early, "\n".join(early)


def test_only_one_module_listens() -> None:
    """LISTEN belongs to the doorbell."""
    listeners = [
        name for name, path in MODULES.items() if re.search(r"[\"']LISTEN\b", path.read_text())
    ]

    assert listeners == ["chatflow.workflows.bells.postgres"]
