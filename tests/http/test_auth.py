"""Headers in, yes or no out."""

from __future__ import annotations

import pickle

import pytest
from pydantic import SecretStr

from serve_app.auth import Keyring, is_local_host, is_local_origin, is_loopback


def _ring(*keys: str) -> Keyring:
    return Keyring.of(SecretStr(key) for key in keys)


@pytest.mark.parametrize("header", ["Bearer one", "bearer two", "Bearer  one "])
def test_each_configured_key_is_admitted(header: str) -> None:
    assert _ring("one", "two").admits(header)


@pytest.mark.parametrize(
    "header", [None, "", "one", "Bearer", "Bearer ", "Bearer three", "Basic one", "Bearer one two"]
)
def test_anything_else_is_not_admitted(header: str | None) -> None:
    assert not _ring("one", "two").admits(header)


def test_an_empty_ring_is_false_and_admits_nobody() -> None:
    assert not _ring("")
    assert not _ring("").admits("Bearer ")


def test_a_keyring_that_travels_gives_no_key_away() -> None:
    ring = _ring("a-secret-key")

    assert b"a-secret-key" not in pickle.dumps(ring)
    assert "a-secret-key" not in repr(ring)
    assert pickle.loads(pickle.dumps(ring)).admits("Bearer a-secret-key")


@pytest.mark.parametrize("header", ["127.0.0.1", "127.0.0.1:8000", "localhost", "LOCALHOST:9", "[::1]", "[::1]:8000"])
def test_names_of_this_machine_are_local(header: str) -> None:
    assert is_local_host(header)
    assert is_local_origin(f"http://{header}")


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example:8000",
        "localhost@evil.example",
        "evil.example#localhost",
        "127.0.0.1:99999",
        "127.0.0.1:port",
        "127.0.0.1/x",
        "[::1",
        "0.0.0.0:8000",
        "192.168.1.2",
    ],
)
def test_other_hosts_are_foreign(header: str | None) -> None:
    assert not is_local_host(header)


@pytest.mark.parametrize("header", ["null", "", "http://evil.example", "file://", "localhost", "http://localhost/path"])
def test_other_origins_are_foreign(header: str) -> None:
    assert not is_local_origin(header)


def test_a_request_without_origin_is_no_page() -> None:
    assert is_local_origin(None)


def test_only_loopback_addresses_are_safe_to_listen_on() -> None:
    assert [host for host in ("127.0.0.1", "localhost", "::1", "0.0.0.0", "::", "") if is_loopback(host)] == [
        "127.0.0.1",
        "localhost",
        "::1",
    ]
