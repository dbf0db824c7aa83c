"""The Ray cluster launcher file, checked against the schema that the installed Ray would check it with."""

from __future__ import annotations

import ipaddress
import json
import re
from importlib import metadata
from pathlib import Path
from typing import Any, cast

import jsonschema
import yaml

_ROOT = Path(__file__).resolve().parents[2]


def _schema() -> dict[str, Any]:
    # Through the package's metadata: a unit test does not import Ray.
    located = metadata.distribution("ray").locate_file("ray/autoscaler/ray-schema.json")
    return cast(dict[str, Any], json.loads(Path(str(located)).read_text(encoding="utf-8")))


def _cluster() -> dict[str, Any]:
    return cast(dict[str, Any], yaml.safe_load((_ROOT / "cluster.yaml").read_text(encoding="utf-8")))


def _starts(key: str) -> list[str]:
    return [command for command in cast(list[str], _cluster()[key]) if "ray start" in command]


def test_it_is_valid_by_rays_own_schema() -> None:
    jsonschema.validate(_cluster(), _schema())


def test_rays_schema_would_refuse_a_misspelled_key() -> None:
    broken = {**_cluster(), "setup_comands": []}

    errors = list(jsonschema.Draft7Validator(_schema()).iter_errors(broken))

    assert any("setup_comands" in error.message for error in errors)


def test_every_node_starts_ray_with_token_authentication() -> None:
    for key in ("head_start_ray_commands", "worker_start_ray_commands"):
        (command,) = _starts(key)
        assert "RAY_AUTH_MODE=token" in command, key


def test_every_node_gets_the_token_that_the_head_uses() -> None:
    assert "~/.ray/auth_token" in _cluster()["file_mounts"]


def test_only_the_head_sets_the_health_checks_and_names_all_of_them() -> None:
    (head,) = _starts("head_start_ray_commands")

    named = set(re.findall(r"RAY_health_check_(\w+)=\d+", head))

    assert named == {"period_ms", "timeout_ms", "failure_threshold"}


def test_the_dashboard_listens_on_the_loopback_only() -> None:
    (head,) = _starts("head_start_ray_commands")

    assert "--dashboard-host=127.0.0.1" in head


def test_the_setup_installs_greenroom_with_the_pinned_versions() -> None:
    commands = " && ".join(cast(list[str], _cluster()["setup_commands"]))

    assert "pip install" in commands
    assert "constraints.txt" in commands
    assert "greenroom" in commands


def test_its_addresses_are_placeholders_of_the_documentation_range() -> None:
    provider = cast(dict[str, Any], _cluster()["provider"])
    documentation = ipaddress.ip_network("192.0.2.0/24")

    addresses = [provider["head_ip"], *provider["worker_ips"]]

    assert provider["type"] == "local"
    assert all(ipaddress.ip_address(address) in documentation for address in addresses)


def test_it_has_a_place_for_every_listed_worker() -> None:
    cluster = _cluster()

    assert cluster["max_workers"] == len(cluster["provider"]["worker_ips"])
