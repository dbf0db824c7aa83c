"""Large results over HTTP: listed, read whole and in ranges."""

from __future__ import annotations

import pytest

from tests.http.serving import Running

LINES = "".join(f"{number}\n" for number in range(1, 40_001)).encode()


@pytest.fixture
def artifact(service: Running) -> str:
    """The path of one in session s."""
    service.create(permission_policy={"allow": ["bash"]})
    service.ask('/tool bash {"command": "seq 40000"}\n/say Counted.').raise_for_status()
    (listed,) = service.http.get("/v1/sessions/s/artifacts").json()["items"]
    assert (listed["size"], listed["lines"], listed["tool"]) == (len(LINES), 40_000, "bash")
    return f"/v1/sessions/s/artifacts/{listed['artifact_id']}"


def test_an_artifact_is_read_whole_and_never_as_a_page(service: Running, artifact: str) -> None:
    whole = service.http.get(artifact)
    assert (whole.status_code, whole.content) == (200, LINES)
    assert whole.headers["Content-Type"].startswith("text/plain")
    assert whole.headers["X-Content-Type-Options"] == "nosniff"
    assert "attachment" in whole.headers["Content-Disposition"]


def test_an_artifact_is_read_in_ranges(service: Running, artifact: str) -> None:
    def ranged(value: str) -> tuple[int, bytes, str | None]:
        response = service.http.get(artifact, headers={"Range": value})
        return response.status_code, response.content, response.headers.get("Content-Range")

    size = len(LINES)
    assert ranged("bytes=2-5") == (206, LINES[2:6], f"bytes 2-5/{size}")
    assert ranged("bytes=-6") == (206, LINES[-6:], f"bytes {size - 6}-{size - 1}/{size}")
    assert ranged(f"bytes={size - 2}-") == (206, LINES[-2:], f"bytes {size - 2}-{size - 1}/{size}")
    assert ranged(f"bytes={size}-") == (416, b"", f"bytes */{size}")
    assert ranged(f"bytes=0-{size * 2}")[:2] == (200, LINES)
    for odd in ("bytes=5-2", "bytes=-", "lines=1-2", "bytes=0-1,4-5"):
        assert ranged(odd)[:2] == (200, LINES)


def test_an_artifact_that_is_not_there_is_a_problem(service: Running, artifact: str) -> None:
    service.create("t")
    for path in ("/v1/sessions/s/artifacts/art_0", artifact.replace("/s/", "/t/")):
        missing = service.http.get(path)
        assert (missing.status_code, missing.json()["code"]) == (404, "ArtifactNotFound")
    assert service.http.get("/v1/sessions/nobody/artifacts").status_code == 404
