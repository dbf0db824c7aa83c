"""The blocking form of the manager: the same operations, for programs without an event loop."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from actors import SessionConfig, SessionManager, Settings, SyncSessionManager, errors
from actors.domain.records import TurnCompleted
from tests.integration.runtimes import MODEL


def use(manager: SyncSessionManager, prefix: str, permissive: SessionConfig) -> None:
    """A little of everything."""
    session = manager.create_session(f"{prefix}-one", permissive)
    assert session.generate("hello", timeout=30).text == "hello"
    assert manager.generate(session.session_id, "again", timeout=30).text == "again"
    stream = session.generate_streaming("one two three")
    events = list(stream)
    assert isinstance(events[-1], TurnCompleted)
    assert stream.result(timeout=30).text == "one two three"
    assert [event.seq for event in manager.events(session.session_id) if isinstance(event, TurnCompleted)]
    for event in session.events(follow=True):
        if isinstance(event, TurnCompleted):
            break
    assert len(session.history()) == 6
    assert session.session_id in {one.session_id for one in manager.get_all_sessions()}
    assert manager.get_session(session.session_id).info().turns == 3
    assert session.pause() is True
    with pytest.raises(errors.SessionPaused):
        session.generate("hello")
    assert manager.resume_session(session.session_id) is True
    assert manager.destroy_session(session.session_id) is True
    with pytest.raises(errors.SessionNotFound):
        manager.get_session(session.session_id)


def threads() -> set[str]:
    return {thread.name for thread in threading.enumerate() if thread.name == "greenroom-sync"}


def test_a_program_without_an_event_loop_uses_a_manager_of_its_own(permissive: SessionConfig, tmp_path: Path) -> None:
    with SyncSessionManager.local(MODEL, settings=Settings(workspace=str(tmp_path))) as manager:
        use(manager, "local", permissive)
    assert threads() == set()


def test_a_program_without_an_event_loop_joins_a_cluster(runtime: SessionManager, permissive: SessionConfig) -> None:
    with SyncSessionManager.connect(settings=Settings(runtime=runtime.settings.runtime)) as manager:
        use(manager, "sync", permissive)
    assert threads() == set()


def test_a_manager_that_cannot_start_leaves_no_thread() -> None:
    with pytest.raises(errors.UnknownProvider):
        SyncSessionManager.local("nosuch/model")
    assert threads() == set()


def test_closing_twice_is_no_error() -> None:
    manager = SyncSessionManager.local(MODEL)
    manager.close()
    manager.close()
