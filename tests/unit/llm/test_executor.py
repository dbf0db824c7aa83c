"""Model calls as the effect host has them carried out: context decoded, failures as outcomes, clients shared."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest
from pydantic import SecretStr

from actors.domain.blobs import externalise
from actors.domain.calls import (
    CallStatus,
    Delta,
    Emit,
    HostRef,
    ModelCall,
    ModelOutcome,
    Outcome,
    ToolCall,
    ToolOutcome,
)
from actors.domain.llm import LlmConfig
from actors.domain.messages import Message, TokenUsage
from actors.effect_host import EffectHost
from actors.errors import ModelUnavailable, Overloaded, UnknownProvider
from actors.llm.catalogue import ProviderPool, known_providers, make_provider
from actors.llm.executor import ModelExecutor
from actors.llm.metering import Tell, untold
from actors.llm.provider import ModelProvider
from actors.llm.scripted import ScriptedModel

Answer = Callable[[ModelCall, tuple[Message, ...], Emit], Awaitable[ModelOutcome]]


class _Provider:
    """Answers by a function, and tells when it was closed; ``says``: how many tokens it has taken so far."""

    def __init__(self, answer: Answer | None = None, says: TokenUsage | None = None) -> None:
        self._answer = answer
        self.says = says
        self.closed = False

    async def run(
        self, call: ModelCall, messages: tuple[Message, ...], emit: Emit, tell: Tell = untold
    ) -> ModelOutcome:
        if self.says is not None:
            tell(self.says)
        if self._answer is None:
            return ModelOutcome(outcome=Outcome.ok, message=messages[-1])
        return await self._answer(call, messages, emit)

    async def close(self) -> None:
        self.closed = True


def _call(name: str = "scripted/echo", host: HostRef | None = None, **changes: Any) -> ModelCall:
    messages = changes.pop("messages", (Message.user("hello"),))
    return ModelCall(
        call_id="c",
        tenant="acme",
        journal_id="j",
        session_id="s",
        turn_id="t",
        epoch=1,
        host=host or HostRef(host_id="h", incarnation="i"),
        llm=LlmConfig.of(name, **changes.pop("llm", {})),
        messages=tuple(message.encode() for message in messages),
        **changes,
    )


def _executor(provider: ModelProvider, blobs: Mapping[str, bytes] | None = None, **settings: Any) -> ModelExecutor:
    async def providers(call: ModelCall) -> ModelProvider:
        return provider

    async def fetch(tenant: str, digests: frozenset[str]) -> Mapping[str, bytes]:
        assert tenant == "acme"
        return {digest: (blobs or {})[digest] for digest in digests}

    return ModelExecutor(providers, fetch, **settings)


def _deaf(channel: str, text: str) -> None:
    """Nobody listens."""


async def _execute(executor: ModelExecutor, call: ModelCall) -> ModelOutcome:
    outcome = await executor.execute(call, _deaf)
    assert isinstance(outcome, ModelOutcome)
    return outcome


async def test_content_that_the_messages_refer_to_is_put_back() -> None:
    large = Message.user("x" * 50_000)
    small, blobs = externalise(large)

    outcome = await _execute(_executor(_Provider(), blobs), _call(messages=(small,)))

    assert outcome.message == large


async def test_the_wait_of_a_call_comes_first() -> None:
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    await _execute(_executor(_Provider(), sleep=sleep), _call(delay_s=0.3))

    assert waited == [0.3]


async def test_a_providers_error_is_an_outcome_that_carries_the_error() -> None:
    async def fail(*_: object) -> ModelOutcome:
        raise ModelUnavailable("openai", "down", 3.0)

    outcome = await _execute(_executor(_Provider(fail)), _call("openai/gpt-4o-mini"))

    assert (outcome.outcome, outcome.error_code) == (Outcome.error, "ModelUnavailable")
    assert outcome.error_args == ("openai", "down", 3.0)
    assert (outcome.provider, outcome.model) == ("openai", "gpt-4o-mini")


async def test_a_defect_of_a_provider_is_an_outcome_without_its_text() -> None:
    async def fail(*_: object) -> ModelOutcome:
        raise ValueError("secret")

    outcome = await _execute(_executor(_Provider(fail)), _call())

    assert outcome.error_code == "InternalError"
    assert "secret" not in outcome.model_dump_json()


async def test_a_provider_that_cannot_be_had_is_an_outcome() -> None:
    async def providers(call: ModelCall) -> ModelProvider:
        raise UnknownProvider(call.llm.provider, known_providers)

    async def fetch(tenant: str, digests: frozenset[str]) -> Mapping[str, bytes]:
        return {}

    outcome = await _execute(ModelExecutor(providers, fetch), _call("nobody/x"))

    assert outcome.error_code == "UnknownProvider"
    assert outcome.error_args == ("nobody", list(known_providers))


async def test_a_provider_that_does_not_keep_the_time_limit_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.llm.executor.BACKSTOP_S", 0.0)

    async def never(*_: object) -> ModelOutcome:
        await asyncio.Event().wait()
        raise AssertionError

    outcome = await _execute(_executor(_Provider(never)), _call(llm={"timeout_s": 0.01}))

    assert outcome.outcome is Outcome.timeout


async def test_a_tool_call_is_refused() -> None:
    call = ToolCall(
        **_call().model_dump(include={"call_id", "tenant", "journal_id", "session_id", "turn_id", "epoch", "host"}),
        tool_use_id="u",
        name="bash",
        args={},
    )

    outcome = await _executor(_Provider()).execute(call, _deaf)

    assert isinstance(outcome, ToolOutcome)
    assert outcome.outcome is Outcome.error


def test_a_cancelled_call_gives_the_text_that_had_arrived() -> None:
    executor = _executor(_Provider())
    deltas = [Delta(index=0, channel="thinking", text="hm"), Delta(index=1, channel="text", text="half ")]

    some, none = executor.cancelled(_call(), deltas), executor.cancelled(_call(), [])

    assert isinstance(some, ModelOutcome)
    assert some.message == Message.assistant("half ")
    assert isinstance(none, ModelOutcome)
    assert none.message is None
    assert none.outcome is some.outcome is Outcome.cancelled


async def test_in_a_host_a_cancelled_answer_keeps_its_beginning() -> None:
    host = EffectHost("model", _executor(ScriptedModel()))
    call = _call(host=host.ref, messages=(Message.user("one two"),), llm={"options": {"token_delay_s": 50}})
    caller = asyncio.create_task(host.run(call))
    await host.poll_many([(call.key, 0)])

    answer = await host.cancel(call.key, 1, "j", host.ref.incarnation)

    assert answer.status is CallStatus.cancelled
    assert isinstance(answer.outcome, ModelOutcome)
    assert answer.outcome.message == Message.assistant("one ")
    assert await caller == answer
    await host.close()


@pytest.mark.parametrize("prompt", [0, 77])
async def test_a_call_that_is_cut_off_counts_what_was_said_of_it_else_an_estimate(prompt: int) -> None:
    async def answer(call: ModelCall, messages: tuple[Message, ...], emit: Emit) -> ModelOutcome:
        emit("text", "x" * 400)
        raise ModelUnavailable("scripted", "cut off")

    says = TokenUsage(prompt_tokens=prompt, completion_tokens=1, cache_read_tokens=5)
    call = _call(messages=(Message.user("y" * 800),))
    outcome = await _execute(_executor(_Provider(answer, says)), call)

    usage = outcome.usage
    assert usage.prompt_tokens == prompt or (prompt == 0 and usage.prompt_tokens >= 200)
    assert (usage.completion_tokens, usage.cache_read_tokens) == (100, 5)
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens


# --- the catalogue ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        (LlmConfig.of("openai/x"), "OpenAIProvider"),
        (LlmConfig.of("anthropic/x"), "AnthropicProvider"),
        (LlmConfig.of("scripted/echo"), "ScriptedModel"),
        (LlmConfig.of("local/smollm2-135m-instruct"), "LocalProvider"),
        (LlmConfig.of("mine/x", base_url="http://127.0.0.1:9"), "OpenAIProvider"),
    ],
)
async def test_a_name_leads_to_its_provider(config: LlmConfig, kind: str) -> None:
    provider = make_provider(config, SecretStr("k"))

    assert type(provider).__name__ == kind
    await provider.close()


def test_a_name_that_is_none_is_refused_and_the_known_ones_named() -> None:
    with pytest.raises(UnknownProvider, match="openai, anthropic, local, scripted"):
        make_provider(LlmConfig.of("nobody/x"), None)


class _Maker:
    def __init__(self, answer: Answer | None = None) -> None:
        self.made: list[_Provider] = []
        self._answer = answer

    def __call__(self, config: LlmConfig, key: SecretStr | None) -> ModelProvider:
        self.made.append(_Provider(self._answer))
        return self.made[-1]


async def _key_of(config: LlmConfig) -> SecretStr | None:
    return SecretStr(config.credential_id) if config.credential_id else None


async def test_calls_of_one_provider_server_and_key_share_a_client() -> None:
    maker = _Maker()
    pool = ProviderPool(_key_of, maker)
    one = await pool.of(_call("openai/a"))
    same = await pool.of(_call("openai/b", llm={"temperature": 1}))
    other_key = await pool.of(_call("openai/a", llm={"credential_id": "k2"}))
    other_server = await pool.of(_call("openai/a", llm={"base_url": "http://127.0.0.1:9"}))

    assert one is same
    assert len({id(each) for each in (one, other_key, other_server)}) == len(maker.made) == 3


async def test_the_idle_client_used_longest_ago_makes_room() -> None:
    maker = _Maker()
    pool = ProviderPool(_key_of, maker, limit=2)
    first = await pool.of(_call("openai/a"))
    await pool.of(_call("anthropic/a"))
    assert await pool.of(_call("openai/a")) is first
    await pool.of(_call("scripted/echo"))

    assert [provider.closed for provider in maker.made] == [False, True, False]


async def test_a_busy_client_is_never_closed_to_make_room() -> None:
    begun, end = asyncio.Event(), asyncio.Event()

    async def wait(*_: object) -> ModelOutcome:
        begun.set()
        await end.wait()
        return ModelOutcome(outcome=Outcome.ok)

    maker = _Maker(wait)
    pool = ProviderPool(_key_of, maker, limit=1)
    busy = asyncio.create_task((await pool.of(_call("openai/a"))).run(_call(), (), _deaf))
    await begun.wait()

    with pytest.raises(Overloaded):
        await pool.of(_call("anthropic/a"))

    end.set()
    await busy
    assert maker.made[0].closed is False
    await pool.close()
    assert maker.made[0].closed is True


async def test_a_key_is_not_found_in_the_pools_repr() -> None:
    pool = ProviderPool(_key_of, _Maker())
    await pool.of(_call("openai/a", llm={"credential_id": "sk-secret"}))

    assert "sk-secret" not in repr(vars(pool))


@pytest.mark.parametrize(
    ("model", "known"),
    [("openai/gpt-4o-mini", True), ("openai/no-such-model", False), ("vllm/x", False), ("scripted/echo", False)],
)
async def test_a_model_without_a_price_is_not_asked_where_money_is_bounded(model: str, known: bool) -> None:
    outcome = await _execute(_executor(_Provider()), _call(model, priced_only=True))

    assert (outcome.outcome is Outcome.ok) == known
    assert known or (outcome.error_code, outcome.error_args) == ("ModelUnpriced", (model,))


async def test_a_script_may_have_a_price() -> None:
    call = _call(llm={"options": {"price_usd": "0.02"}}, priced_only=True)
    outcome = await _execute(_executor(ScriptedModel()), call)
    assert outcome.cost_usd == "0.02"
