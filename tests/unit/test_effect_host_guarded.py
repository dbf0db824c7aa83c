"""Nothing that is withheld leaves a host: in no piece, outcome, error or thought."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any
from urllib.parse import quote

import pytest

from actors.domain.asking import Asked, Question, QuestionMode
from actors.domain.calls import (
    Delta,
    Emit,
    HostRef,
    ModelCall,
    ModelOutcome,
    Outcome,
    Reconciled,
    ToolCall,
    ToolOutcome,
)
from actors.domain.inspection import Inspection
from actors.domain.llm import LlmConfig
from actors.domain.messages import WITHHELD, Message, StopReason, ToolUseBlock
from actors.domain.security import SecurityConfig
from actors.effect_host.cleaning import cleaned
from actors.effect_host.guarded import IN_THREAD_CHARS, Guarded, Vault, secrets_of
from actors.errors import SecurityUnavailable
from actors.inspection.inspectors import Inspectors

KEY = "sk-1234567890CANARYghijklmnop"
KNOWN = "a value that only this process knows"


class _Gives:
    """Gives these pieces, then this outcome."""

    def __init__(self, outcome: Any, *pieces: str) -> None:
        self._outcome = outcome
        self._pieces = pieces

    async def execute(self, call: ModelCall | ToolCall, emit: Emit) -> Any:
        for piece in self._pieces:
            emit("text", piece)
        return self._outcome

    def cancelled(self, call: ModelCall | ToolCall, deltas: Sequence[Delta]) -> Any:
        return self._outcome

    async def reconcile(self, call: ToolCall, recorded: bytes | None) -> Reconciled:
        return Reconciled.done(self._outcome)


def _guarded(inner: _Gives, known: Sequence[str] = ()) -> Guarded:
    return Guarded(inner, Vault(known), Inspectors())


_WHOSE: dict[str, Any] = {
    "call_id": "j:1:2",
    "tenant": "t",
    "journal_id": "j",
    "session_id": "s",
    "turn_id": "turn-1",
    "epoch": 1,
    "host": HostRef(host_id="h", incarnation="i"),
}


def _model_call(security: SecurityConfig | None = None) -> ModelCall:
    return ModelCall(**_WHOSE, llm=LlmConfig(provider="scripted", model="echo"), security=security)


def _tool_call(security: SecurityConfig | None = None) -> ToolCall:
    return ToolCall(**_WHOSE, tool_use_id="u", name="tells", args={}, security=security)


def _nowhere(channel: str, text: str) -> None:
    del channel, text


async def test_pieces_are_the_whole_without_what_is_withheld_and_nothing_of_them_is_lost() -> None:
    shown: list[str] = []
    pieces = ("it is sk-", "1234567890", "CANARYghijklmnop", " and a val", "ue that only this process knows", ", you")
    host = _guarded(_Gives(ModelOutcome(outcome=Outcome.ok), *pieces), [KNOWN])

    await host.execute(_model_call(SecurityConfig()), lambda channel, text: shown.append(text))

    assert "".join(shown) == "it is [REDACTED:API_KEY] and [REDACTED:SECRET], you"


async def test_a_thought_that_is_changed_loses_its_seal() -> None:
    thought = Message.assistant("Hm.").model_copy(update={"reasoning_content": KEY, "reasoning_signature": "seal"})
    given = ModelOutcome(outcome=Outcome.ok, message=thought, stop_reason=StopReason.end_turn)

    outcome: Any = await _guarded(_Gives(given)).execute(_model_call(SecurityConfig()), _nowhere)

    assert outcome.message.reasoning_content == "[REDACTED:API_KEY]"
    assert outcome.message.reasoning_signature is None


async def test_errors_are_gone_through_with_their_arguments() -> None:
    error = f"Incorrect API key provided: {KNOWN}"
    given = ModelOutcome(outcome=Outcome.error, error_code="ModelAuthFailed", error=error, error_args=("x", [error]))

    outcome = await _guarded(_Gives(given), [KNOWN]).execute(_model_call(), _nowhere)

    assert KNOWN not in repr(outcome)


async def test_what_a_cancelled_or_reconciled_call_gave_is_gone_through_too() -> None:
    host = _guarded(_Gives(ToolOutcome(outcome=Outcome.cancelled, content=KEY, metadata={KEY: [KEY]})))
    call = _tool_call(SecurityConfig())

    given = (host.cancelled(call, ()), (await host.reconcile(call, None)).outcome)

    assert KEY not in repr(given)


async def test_an_outcome_without_anything_to_withhold_is_left_alone() -> None:
    given = ToolOutcome(outcome=Outcome.ok, content=KEY)

    assert await _guarded(_Gives(given), [KNOWN]).execute(_tool_call(), _nowhere) == given


@pytest.mark.parametrize(
    ("security", "text", "used"),
    [
        (None, "about [REDACTED:EMAIL]", True),
        (None, "about [REDACTED:SECRET]", False),
        (None, f"about {KNOWN}", False),
        (None, KEY, True),
        (SecurityConfig(), "about [REDACTED:EMAIL]", False),
        (SecurityConfig(), KEY, False),
        (SecurityConfig(), "to ada@example.org", True),
    ],
)
async def test_arguments_are_used_as_they_are_or_not_at_all(
    security: SecurityConfig | None, text: str, used: bool
) -> None:
    asks = Message.assistant("", ToolUseBlock(id="u", name="tells", input={"deep": [{"text": text}]}))
    given = ModelOutcome(outcome=Outcome.ok, message=asks, stop_reason=StopReason.tool_use)

    outcome: Any = await _guarded(_Gives(given), [KNOWN]).execute(_model_call(security), _nowhere)

    (call,) = outcome.message.tool_calls
    assert (call.input == {"deep": [{"text": text}]}) is used
    assert (WITHHELD in call.input) is not used


def test_secrets_of_an_environment_are_told_by_their_names_and_nobody_sees_them_in_a_vault() -> None:
    environment = {
        "OPENAI_API_KEY": "k-openai-1",
        "GREENROOM_API_KEYS": "first-key, second-key",
        "CI_JOB_TOKEN": "t-ci-job-1",
        "db_password": "p-of-a-database",
        "DATABASE_URL": "postgresql://ada:p-in-an-address@db/x",
        "HOME": "/root",
        "TOKENIZERS_PARALLELISM": "false",
    }

    found = secrets_of(environment)

    assert found - {"first-key, second-key"} == {
        "k-openai-1",
        "first-key",
        "second-key",
        "t-ci-job-1",
        "p-of-a-database",
        "p-in-an-address",
    }
    assert not [value for value in found if value in repr(Vault(found))]


async def test_of_a_question_only_what_people_read_is_changed() -> None:
    form = {
        "type": "object",
        "properties": {
            "key": {"type": "string", "title": KEY, "description": f"as in {KEY}", "default": KEY},
            "title": {"type": "array", "default": [KEY, 1]},
        },
        "required": ["key"],
        "enum": [KEY],
    }
    asked = Asked(
        questions=(Question(key="q", mode=QuestionMode.form, message=f"Is it {KEY}?", form=form),),
        held=True,
        answer_within_s=1.0,
    )
    given = ToolOutcome(outcome=Outcome.input_required, asked=asked)

    outcome: Any = await _guarded(_Gives(given)).execute(_tool_call(SecurityConfig()), _nowhere)

    (question,) = outcome.asked.questions
    hidden = "[REDACTED:API_KEY]"
    assert question.message == f"Is it {hidden}?"
    shown = {"type": "string", "title": hidden, "description": f"as in {hidden}", "default": hidden}
    assert question.form == form | {"properties": {"key": shown, "title": {"type": "array", "default": [hidden, 1]}}}
    assert outcome.sifted.withheld == {"API_KEY": 5}


@pytest.mark.parametrize("secret", ['pa55 w0rd/of "mine"', "k-0123456789abcdef"])
async def test_a_known_secret_is_withheld_in_the_forms_in_which_tools_write_it(secret: str) -> None:
    encoded = base64.b64encode(f"{secret}\n".encode()).decode()
    told = f"{json.dumps({'key': secret})} ?key={quote(secret, safe='')} {secret.encode().hex()} {encoded}"

    outcome: Any = await _guarded(_Gives(ToolOutcome(outcome=Outcome.ok, content=told)), [secret]).execute(
        _tool_call(), _nowhere
    )

    shown = outcome.content.removesuffix(outcome.content.split("[REDACTED:SECRET]")[-1])
    assert shown == '{"key": "[REDACTED:SECRET]"} ?key=[REDACTED:SECRET] [REDACTED:SECRET] [REDACTED:SECRET]'
    assert len(outcome.content) - len(shown) <= 4


class _Holds(_Gives):
    """Asks, and holds its call open until it is ended."""

    def __init__(self) -> None:
        question = Question(key="k", mode=QuestionMode.url, message="Visit", url="https://example.org/")
        asked = Asked(questions=(question,), held=True, answer_within_s=60.0)
        super().__init__(ToolOutcome(outcome=Outcome.input_required, content="Visit", asked=asked))
        self.held = False

    async def execute(self, call: ModelCall | ToolCall, emit: Emit) -> Any:
        assert isinstance(call, ToolCall)
        self.held = call.resume is None or not call.resume.abandon
        return await super().execute(call, emit)


@pytest.mark.parametrize("error", [SecurityUnavailable("p", "it is silent"), asyncio.CancelledError()])
async def test_a_call_whose_questions_nobody_will_see_is_not_held_open(error: BaseException) -> None:
    class Fails(Inspectors):
        async def inspect(self, config: SecurityConfig, texts: Collection[str]) -> Mapping[str, Inspection]:
            assert inner.held
            raise error

    inner = _Holds()
    call = _tool_call(SecurityConfig(providers=("tests:any",)))
    try:
        outcome = await Guarded(inner, Vault(), Fails()).execute(call, _nowhere)
        assert isinstance(outcome, ToolOutcome) and outcome.outcome is Outcome.error
    except asyncio.CancelledError:
        assert isinstance(error, asyncio.CancelledError)
    assert not inner.held


class _FindNothing(Inspectors):
    async def inspect(self, config: SecurityConfig, texts: Collection[str]) -> Mapping[str, Inspection]:
        return dict.fromkeys(texts, Inspection())


async def test_a_long_result_is_gone_through_beside_the_event_loop_for_a_provider_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    beside: list[Any] = []

    async def to_thread(work: Callable[..., Any], *args: Any) -> Any:
        beside.append(work)
        return work(*args)

    monkeypatch.setattr(asyncio, "to_thread", to_thread)
    given = _Gives(ToolOutcome(outcome=Outcome.ok, content="x " * IN_THREAD_CHARS))
    for security, times in ((SecurityConfig(), 1), (SecurityConfig(providers=("their:Provider",)), 2)):
        await Guarded(given, Vault(), _FindNothing()).execute(_tool_call(security), _nowhere)
        assert beside == [cleaned] * times
        beside.clear()
