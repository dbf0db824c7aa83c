"""Which module may know which: parsed from the source, never imported, so that a cycle cannot hide a violation.

The checks are functions from sources to sentences; the same functions run on the tree and, to prove that they can
fail, on small sources with a forbidden import in them.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[2]
_PRODUCT = ("actors", "serve_app")
_PARSED = (*_PRODUCT, "benchmarks")

_DOMAIN, _POLICY, _SESSION, _ADAPTER, _SHELL, _APP, _OUTSIDE = range(7)
_RANK_NAMES = ("domain", "policy", "session", "adapter", "shell", "serve_app", "outside the product")

_CORE_RANKS = {
    "domain": _DOMAIN,
    "errors": _DOMAIN,
    "faults": _DOMAIN,
    "settings": _DOMAIN,
    "telemetry": _DOMAIN,
    "policy": _POLICY,
    "session": _SESSION,
}
"""Ranks by the first name below `actors`; a name that is neither here nor a shell is an adapter."""

_SHELL_NAME = re.compile(r"_?(cluster|manager|handle|sync|runtime)(_\w+)?|\w+_actor")
_RAY_NAME = re.compile(r"actors\.(\w+_actor|cluster(\.\w+)?|manager|handle|sync)")

_HEAVY_FOR_SESSION_ACTOR = frozenset({"aiohttp", "pyarrow", "sqlalchemy", "mcp", "openai", "tree_sitter"})
"""What a process that hosts one session never needs: it talks over sockets, and each costs memory per session."""

_HEAVY_FOR_FACADE = frozenset({"ray", "aiohttp", "pyarrow", "sqlalchemy"})

_MAX_LINES = 300
_MAX_ACTOR_LINES = 200

_LONGER_ALLOWED: Mapping[str, str] = {
    "actors.errors": "the one error tree: a catalogue that is read by name, and that a split would only scatter",
    "actors.domain.commands": "all that a session can be told: a catalogue with no logic",
    "actors.domain.records": "the journal's one vocabulary: a catalogue with no logic but stamping",
}
"""Modules that may be longer than the ceiling, each with the reason."""


@dataclass(frozen=True)
class _Import:
    """One import: who, whom (as far as the source tells), where, and whether importing the module runs it."""

    importer: str
    target: str
    line: int
    at_import: bool


def _sources(*packages: str) -> dict[str, str]:
    """Return module name -> source of every Python file below the packages; packages keep their `__init__`."""
    found: dict[str, str] = {}
    for package in packages:
        for path in sorted((_ROOT / package).rglob("*.py")):
            found[".".join(path.relative_to(_ROOT).with_suffix("").parts)] = path.read_text(encoding="utf-8")
    return found


def _name(module: str) -> str:
    return module.removesuffix(".__init__")


@cache
def _parse(source: str) -> ast.Module:
    return ast.parse(source)


def _is_type_checking(test: ast.expr) -> bool:
    return ast.unparse(test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}


def _statements(node: ast.AST, at_import: bool = True) -> Iterator[tuple[ast.AST, bool]]:
    """Yield every node with whether it runs when the module is imported."""
    yield node, at_import
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        at_import = False
    if isinstance(node, ast.If) and _is_type_checking(node.test):
        branches = [(child, False) for child in node.body] + [(child, at_import) for child in node.orelse]
    else:
        branches = [(child, at_import) for child in ast.iter_child_nodes(node)]
    for child, runs in branches:
        yield from _statements(child, runs)


def _base(module: str, node: ast.ImportFrom) -> str:
    """Return the absolute name of what follows `from`."""
    if not node.level:
        return node.module or ""
    parts = module.split(".")[: -node.level]
    return ".".join([*parts, *([node.module] if node.module else [])])


def _dynamic(node: ast.Call) -> list[str]:
    """Return the target of `import_module("x")` and `__import__("x")` where it is written out."""
    called = ast.unparse(node.func)
    if called not in {"import_module", "importlib.import_module", "__import__"} or not node.args:
        return []
    first = node.args[0]
    return [first.value] if isinstance(first, ast.Constant) and isinstance(first.value, str) else []


def _targets(module: str, node: ast.AST, known: frozenset[str]) -> list[str]:
    match node:
        case ast.Import():
            return [alias.name for alias in node.names]
        case ast.ImportFrom():
            base = _base(module, node)
            full = [f"{base}.{alias.name}" for alias in node.names]
            return list(dict.fromkeys(name if name in known else base for name in full))
        case ast.Call():
            return _dynamic(node)
        case _:
            return []


def _imports(sources: Mapping[str, str]) -> list[_Import]:
    known = frozenset(_name(module) for module in sources)
    return [
        _Import(_name(module), target, getattr(node, "lineno", 0), at_import)
        for module, source in sources.items()
        for node, at_import in _statements(_parse(source))
        for target in _targets(module, node, known)
    ]


def _rank(module: str) -> int | None:
    """Return the layer of one of our modules, None for a third party's."""
    top, _, rest = module.partition(".")
    if top in {"tests", "benchmarks"}:
        return _OUTSIDE
    if top == "serve_app":
        return _APP
    if top != "actors":
        return None
    first = rest.partition(".")[0]
    if not first or _SHELL_NAME.fullmatch(first):
        return _SHELL
    return _CORE_RANKS.get(first, _ADAPTER)


def _wrong_directions(sources: Mapping[str, str]) -> list[str]:
    wrong: list[str] = []
    for each in _imports(sources):
        importer, target = _rank(each.importer), _rank(each.target)
        if importer is not None and target is not None and target > importer:
            layers = f"{_RANK_NAMES[importer]} may not know {_RANK_NAMES[target]}"
            wrong.append(f"{each.importer}:{each.line} imports {each.target}: {layers}")
    return wrong


def _wrong_ray(sources: Mapping[str, str]) -> list[str]:
    return [
        f"{each.importer}:{each.line} imports {each.target}: only *_actor, cluster, manager, handle and sync know Ray"
        for each in _imports(sources)
        if each.target.partition(".")[0] == "ray"
        and each.importer.partition(".")[0] == "actors"
        and not _RAY_NAME.fullmatch(each.importer)
    ]


def _with_parents(module: str) -> list[str]:
    parts = module.split(".")
    return [".".join(parts[: count + 1]) for count in range(len(parts))]


def _heavy_at_import(sources: Mapping[str, str], start: str, heavy: frozenset[str]) -> list[str]:
    """Return the imports of heavy packages that importing `start` runs, directly or through our own modules."""
    by_importer: dict[str, list[_Import]] = {}
    for each in _imports(sources):
        if each.at_import:
            by_importer.setdefault(each.importer, []).append(each)
    found: list[str] = []
    seen: set[str] = set()
    queue = _with_parents(start)
    while queue:
        module = queue.pop()
        if module in seen:
            continue
        seen.add(module)
        for each in by_importer.get(module, []):
            if each.target.partition(".")[0] in heavy:
                found.append(f"{module}:{each.line} imports {each.target}, and importing {start} runs it")
            queue.extend(_with_parents(each.target))
    return found


def _too_long(sources: Mapping[str, str], allowed: Mapping[str, str]) -> list[str]:
    found: list[str] = []
    for module, source in sources.items():
        ceiling = _MAX_ACTOR_LINES if module.endswith("_actor") else _MAX_LINES
        lines = len(source.splitlines())
        if lines > ceiling and module not in allowed:
            found.append(f"{module} has {lines} lines, {ceiling} are allowed: split it")
    return found


def test_imports_point_from_the_outside_to_the_core_only() -> None:
    assert _wrong_directions(_sources(*_PARSED)) == []


def test_only_the_shells_know_ray() -> None:
    assert _wrong_ray(_sources("actors")) == []


def test_a_session_actor_loads_no_http_arrow_or_database_library() -> None:
    assert _heavy_at_import(_sources("actors"), "actors.session_actor", _HEAVY_FOR_SESSION_ACTOR) == []


def test_modules_and_actor_shells_stay_short() -> None:
    assert _too_long(_sources(*_PRODUCT), _LONGER_ALLOWED) == []


def test_make_runs_the_tests_of_every_directory() -> None:
    groups = re.search(r"^GROUPS := (.+)$", (_ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert groups is not None
    with_tests = {path.relative_to(_ROOT).parts[:2] for path in (_ROOT / "tests").rglob("test_*.py")}
    assert sorted(re.split(r"[ +]", groups[1])) == sorted("/".join(parts) for parts in with_tests)


def test_importing_the_package_loads_no_heavy_library() -> None:
    if not (_ROOT / "actors" / "__init__.py").exists():
        pytest.skip("the package has no facade yet")
    code = "import sys; before = set(sys.modules); import actors; print(*sorted(set(sys.modules) - before))"
    environment = {**os.environ, "PYTHONPATH": str(_ROOT)}

    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60)

    assert done.returncode == 0, done.stderr
    assert {name.partition(".")[0] for name in done.stdout.split()} & _HEAVY_FOR_FACADE == set()


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("actors.domain.records", "import actors.policy.limits"),
        ("actors.errors", "from actors.storage import sql"),
        ("actors.policy.limits", "def check():\n    from actors.session import state"),
        ("actors.policy.limits", "from ..session.state import SessionState"),
        ("actors.session.runner", "if TYPE_CHECKING:\n    from actors.llm.http import Client"),
        ("actors.session.runner", "import importlib\nimportlib.import_module('actors.manager')"),
        ("actors.tools.bash", "from actors import SessionManager"),
        ("actors.channel", "from actors.store_actor import StoreActor"),
        ("actors.manager", "import serve_app.app"),
        ("serve_app.app", "from tests.fakes import model"),
    ],
)
def test_the_check_finds_an_import_against_the_direction(module: str, source: str) -> None:
    assert len(_wrong_directions({module: source})) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("actors.llm.http", "from actors.domain.llm import LlmConfig"),
        ("actors.domain.records", "from actors import errors"),
        ("actors.storage.__init__", "from .sql import SqlStore"),
        ("actors.store_actor", "from actors.storage.sql import SqlStore"),
        ("serve_app.routes", "from actors import SessionManager"),
    ],
)
def test_the_check_lets_an_import_in_the_direction_pass(module: str, source: str) -> None:
    assert _wrong_directions({module: source, "actors.errors": "", "actors.storage.sql": ""}) == []


@pytest.mark.parametrize(
    "module", ["actors.domain.ids", "actors.storage.sql", "actors.session.runtime", "actors.tools.x_actor"]
)
@pytest.mark.parametrize("source", ["import ray", "def f():\n    from ray.actor import ActorHandle"])
def test_the_check_finds_ray_outside_the_shells(module: str, source: str) -> None:
    assert len(_wrong_ray({module: source})) == 1
    assert _wrong_ray({"actors.store_actor": source, "actors.cluster.start": source, "serve_app.app": source}) == []


def test_the_check_finds_a_heavy_import_behind_a_package_but_not_one_inside_a_function() -> None:
    sources = {
        "actors.session_actor": "from actors.llm.sse import decode",
        "actors.llm.__init__": "from .http import Client",
        "actors.llm.sse": "def lazily():\n    import pyarrow",
        "actors.llm.http": "try:\n    import aiohttp.web\nexcept ImportError:\n    pass",
    }

    (found,) = _heavy_at_import(sources, "actors.session_actor", _HEAVY_FOR_SESSION_ACTOR)

    assert found.startswith("actors.llm.http:2 imports aiohttp.web")


def test_the_check_of_lengths_holds_actors_to_the_lower_ceiling() -> None:
    sources = {"actors.store_actor": "x\n" * 201, "actors.manager": "x\n" * 300, "actors.cluster.start": "x\n" * 301}

    assert [line.split()[0] for line in _too_long(sources, {})] == ["actors.store_actor", "actors.cluster.start"]
    assert _too_long(sources, {"actors.store_actor": "", "actors.cluster.start": ""}) == []
