"""Sessions that are made together."""

from __future__ import annotations

from actors.domain.ids import utc_now
from actors.domain.llm import LlmConfig
from actors.domain.session import SessionConfig
from actors.session.projection import new_session, new_sessions


def test_sessions_made_together_are_those_made_one_by_one() -> None:
    names = [(f"s-{number}", f"J{number}") for number in range(3)]
    config = SessionConfig(name="many", model=LlmConfig.of("scripted/echo"), metadata={"of": "a crowd"}, ttl_s=60)
    now = utc_now()

    together = new_sessions("t", names, config, now=now, cause="c")

    assert together == [new_session("t", *name, config, now=now, cause="c") for name in names]
