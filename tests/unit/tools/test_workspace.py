from __future__ import annotations

import os
import threading
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.errors import PathOutsideWorkspace, ToolError
from actors.tools.workspace import locate

_NAMES = st.sampled_from(["a", "b", "c", "up", "self"])
_STEP = st.one_of(_NAMES, st.sampled_from(["..", ".", "", "../..", "/", "/etc/passwd", "@root", "@outside", "@root/a"]))
_PATHS = st.lists(_STEP, min_size=1, max_size=6)
_LINKS = st.lists(st.tuples(st.lists(_NAMES, min_size=1, max_size=3), _PATHS), max_size=6)


def _read(root: Path, path: str) -> bytes:
    with locate(str(root), path) as place, place.open_file() as file:
        return file.read()


def _path(steps: list[str], root: Path, outside: Path) -> str:
    text = "/".join(steps).replace("@root", str(root)).replace("@outside", str(outside))
    return text or "."


def _plant(base: Path, root: Path, outside: Path, links: list[tuple[list[str], list[str]]]) -> None:
    for place in (root, root / "a", root / "a" / "b", outside, base):
        place.mkdir(exist_ok=True)
        (place / "c").write_text("inside" if place.is_relative_to(root) else "outside")
    for where, target in links:
        link = root.joinpath(*where)
        if link.parent.is_dir() and link.parent.resolve().is_relative_to(root) and not os.path.lexists(link):
            link.symlink_to(_path(target, root, outside))


@given(_LINKS, _PATHS)
def test_no_path_through_any_tree_of_links_reads_or_makes_a_thing_outside(
    links: list[tuple[list[str], list[str]]], steps: list[str]
) -> None:
    with TemporaryDirectory() as name:
        base = Path(name).resolve()
        root, outside = base / "root", base / "outside"
        _plant(base, root, outside, links)
        path = _path(steps, root, outside)
        before = sorted(outside.rglob("*")) + sorted(base.iterdir())

        try:
            assert _read(root, path) == b"inside"
        except ToolError:
            pass
        try:
            with locate(str(root), path, create_parents=True) as place:
                real = Path(os.readlink(f"/proc/self/fd/{place.directory}"))
                assert real == root or real.is_relative_to(root)
                assert (real / place.name).relative_to(root).as_posix() == place.relative
        except ToolError:
            pass

        assert sorted(outside.rglob("*")) + sorted(base.iterdir()) == before


@pytest.mark.parametrize("path", ["f", "./f", "d/../f", "link", "d/back/f", "absolute", "{root}/f", "{root}/d/../f"])
def test_a_path_that_stays_inside_is_followed(workspace: Path, path: str) -> None:
    (workspace / "f").write_text("here")
    (workspace / "d").mkdir()
    (workspace / "link").symlink_to("d/../f")
    (workspace / "d" / "back").symlink_to("..")
    (workspace / "absolute").symlink_to(workspace / "f")

    assert _read(workspace, path.format(root=workspace)) == b"here"


@pytest.mark.parametrize(
    "path",
    [
        "..",
        "../outside",
        "d/../../outside",
        "/etc/passwd",
        "out",
        "out/passwd",
        "chain/passwd",
        "{root}/../x",
        "{root}x",
    ],
)
def test_a_path_that_leads_out_is_refused_by_name(workspace: Path, path: str) -> None:
    (workspace / "d").mkdir()
    (workspace / "out").symlink_to("/etc")
    (workspace / "chain").symlink_to("out")
    asked = path.format(root=workspace)

    with pytest.raises(PathOutsideWorkspace) as caught:
        _read(workspace, asked)
    assert asked in caught.value.message


def test_a_deep_new_path_is_made_inside_and_an_escaping_one_leaves_nothing_behind(workspace: Path) -> None:
    with locate(str(workspace), "x/y/z/new", create_parents=True) as place:
        assert (place.relative, place.status()) == ("x/y/z/new", None)
    with pytest.raises(ToolError), locate(str(workspace), "new/deep/../../../escaped", create_parents=True):
        pass

    assert (workspace / "x/y/z").is_dir()
    assert not (workspace / "new").exists()


def test_a_loop_of_links_is_an_error(workspace: Path) -> None:
    (workspace / "one").symlink_to("two")
    (workspace / "two").symlink_to("one")

    with pytest.raises(ToolError, match="too many symbolic links"):
        _read(workspace, "one")


def test_a_named_pipe_is_refused_without_waiting_for_a_writer(workspace: Path) -> None:
    os.mkfifo(workspace / "pipe")

    with pytest.raises(ToolError, match="not a regular file"):
        _read(workspace, "pipe")


def test_a_directory_that_is_swapped_for_a_link_while_it_is_read_never_leads_out(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    for place, text in ((root / "d", "inside"), (outside, "outside")):
        place.mkdir(parents=True)
        (place / "f").write_text(text)
    (root / "link").symlink_to(outside)
    done = threading.Event()

    def swap() -> None:
        while not done.is_set():
            for first, second in (("d", "saved"), ("link", "d"), ("d", "link"), ("saved", "d")):
                os.rename(root / first, root / second)

    thread = threading.Thread(target=swap)
    thread.start()
    seen: set[bytes] = set()
    for _ in range(2000):
        try:
            seen.add(_read(root, "d/f"))
        except ToolError:
            continue
    done.set()
    thread.join()

    assert seen <= {b"inside"}


def test_no_handle_is_left_open(workspace: Path) -> None:
    (workspace / "d").mkdir()
    before = len(os.listdir("/proc/self/fd"))

    for path in ("d", "d/..", "missing/x", "../x", "d/new", "."):
        try:
            with locate(str(workspace), path):
                pass
        except ToolError:
            continue

    assert len(os.listdir("/proc/self/fd")) == before
