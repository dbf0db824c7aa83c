"""Permission rules and policies: what may run, what may not, and what has to be asked.

The order is deny, allow, ask, default. An allow rule beats an ask rule, also a narrower one: to be asked about some
uses of a tool, allow the others by name and leave those to the default.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from pydantic import Field, field_validator, model_serializer, model_validator

from actors.domain.base import Frozen
from actors.domain.permission_calls import Call, Part, call_of
from actors.domain.permission_modes import PermissionDecision, PermissionMode, edits_workspace
from actors.domain.permission_rules import ParsedRule, parse


class PermissionRule(Frozen):
    """A rule, kept as its text: ``Tool`` or ``Tool(pattern)``. It is parsed wherever it is used, also after loading.

    The tool's name ignores case and may hold ``*``; ``mcp__server`` means all tools of that server. The pattern is
    compared with what the call is about: the command of bash, the path of read, write, edit, patch and ls, the
    pattern of glob, pattern and path of grep, the url of web_fetch, the JSON of all arguments of any other tool.
    ``prefix:*`` fits what begins with the prefix, for bash at the end of a word. Elsewhere ``*`` is any run without
    a slash, ``**`` any run, ``?`` one character.

    A bash line is taken apart, and every simple command in it is judged by itself, as is every file that the line opens
    (as a ``read`` or a ``write``). An allow rule fits a command only when that surely is what it shows; deny and ask
    rules look at everything that the line may run. A bare ``bash`` fits every line, and a pattern that spells a whole
    line out fits that line. Paths are compared as written,
    without ``.`` and ``..``; symbolic links are the workspace's business.
    """

    text: str = Field(min_length=1, max_length=1024)

    if TYPE_CHECKING:

        def __init__(self, text: str) -> None: ...

    else:

        def __init__(self, text: str = "", /, **values: Any) -> None:
            super().__init__(**(values or {"text": text}))

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        return {"text": value} if isinstance(value, str) else value

    @field_validator("text")
    @classmethod
    def _readable(cls, value: str) -> str:
        parse(value)
        return value

    @model_serializer
    def _to_text(self) -> str:
        return self.text

    @property
    def parsed(self) -> ParsedRule:
        """The rule's parts."""
        return parse(self.text)

    def matches(self, tool_name: str, args: Mapping[str, Any], *, workspace: str = "") -> bool:
        """Whether an allow rule of this text would cover the call."""
        call = call_of(tool_name, args, workspace)
        return self.parsed.spells_out(call) or all(self.parsed.allows(part) for part in call.parts)


@dataclass(frozen=True, slots=True)
class MatchingRules:
    """The rules that a call meets, list by list."""

    deny: tuple[PermissionRule, ...] = ()
    allow: tuple[PermissionRule, ...] = ()
    ask: tuple[PermissionRule, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether no rule says anything."""
        return not (self.deny or self.allow or self.ask)


class PermissionPolicy(Frozen):
    """Lists of rules; deny beats allow, allow beats ask, then the default.

    Attributes:
        deny: Rules, or their texts, for what never runs.
        allow: For what runs without a question.
        ask: For what is asked.
        default_decision: For all else.
        enabled: False allows everything, whatever the mode.
        mode: What becomes of calls that the lists leave open.
        require_sandbox: Commands run in a sandbox, or not at all.
    """

    deny: tuple[PermissionRule, ...] = ()
    allow: tuple[PermissionRule, ...] = ()
    ask: tuple[PermissionRule, ...] = ()
    default_decision: PermissionDecision = PermissionDecision.ask
    enabled: bool = True
    mode: PermissionMode = PermissionMode.default
    require_sandbox: bool = False

    if TYPE_CHECKING:

        def __init__(
            self,
            *,
            deny: Iterable[PermissionRule | str] = (),
            allow: Iterable[PermissionRule | str] = (),
            ask: Iterable[PermissionRule | str] = (),
            default_decision: PermissionDecision | str = PermissionDecision.ask,
            enabled: bool = True,
            mode: PermissionMode | str = PermissionMode.default,
            require_sandbox: bool = False,
        ) -> None: ...

    @classmethod
    def permissive(cls) -> PermissionPolicy:
        """Everything is allowed but what a rule denies."""
        return cls(default_decision=PermissionDecision.allow)

    @classmethod
    def strict(cls) -> PermissionPolicy:
        """Everything is asked but what a rule allows or denies."""
        return cls()

    def with_rule(self, kind: PermissionDecision | str, text: str) -> Self:
        """A policy with one rule more in the list ``kind``; a rule that is there already is not added again."""
        return self.with_rules(kind, [text])

    def with_rules(self, kind: PermissionDecision | str, texts: Iterable[str]) -> Self:
        """A policy with these rules at the end of the list ``kind``."""
        name = PermissionDecision(kind).value
        present = {rule.text for rule in self._list(kind)}
        fresh = [PermissionRule(text) for text in dict.fromkeys(texts) if text not in present]
        return self.model_copy(update={name: (*self._list(kind), *fresh)})

    def check(self, tool_name: str, args: Mapping[str, Any], *, workspace: str = "") -> PermissionDecision:
        """The decision for one call. ``workspace`` lets absolute paths in it compare with relative rules."""
        return self.judge(call_of(tool_name, args, workspace))

    def judge(self, call: Call) -> PermissionDecision:
        """The decision for one call that was taken apart: the strictest of those about its parts."""
        if not self.enabled:
            return PermissionDecision.allow
        if self.forbids(call) or (self.mode is PermissionMode.plan and not call.looks):
            return PermissionDecision.deny
        if any(rule.parsed.spells_out(call) for rule in self.allow) and not self.might_forbid(call):
            return PermissionDecision.allow
        decisions = {self._judge_part(part) for part in call.parts}
        if PermissionDecision.deny in decisions:
            return PermissionDecision.deny
        return self.asking() if PermissionDecision.ask in decisions else PermissionDecision.allow

    def forbids(self, call: Call) -> bool:
        """Whether a deny rule covers a part of the call."""
        return any(rule.parsed.concerns(part) for rule in self.deny for part in call.parts)

    def might_forbid(self, call: Call) -> bool:
        """Whether a deny rule may cover what is hidden of the call."""
        return any(rule.parsed.might_concern(part) for rule in self.deny for part in call.parts)

    def asking(self) -> PermissionDecision:
        """What a question becomes in the policy's mode."""
        return PermissionDecision.deny if self.mode is PermissionMode.dont_ask else PermissionDecision.ask

    def _judge_part(self, part: Part) -> PermissionDecision:
        if any(rule.parsed.might_concern(part) for rule in self.deny):
            return PermissionDecision.ask
        if self.mode is PermissionMode.bypass or any(rule.parsed.allows(part) for rule in self.allow):
            return PermissionDecision.allow
        if any(rule.parsed.concerns(part) or rule.parsed.might_concern(part) for rule in self.ask):
            return PermissionDecision.ask
        accepted = self.mode is PermissionMode.accept_edits and self.default_decision is PermissionDecision.ask
        return PermissionDecision.allow if accepted and edits_workspace(part) else self.default_decision

    def is_allowed(self, tool_name: str, args: Mapping[str, Any]) -> bool:
        """Whether the call may run without a question."""
        return self.check(tool_name, args) is PermissionDecision.allow

    def is_denied(self, tool_name: str, args: Mapping[str, Any]) -> bool:
        """Whether the call may not run."""
        return self.check(tool_name, args) is PermissionDecision.deny

    def requires_confirmation(self, tool_name: str, args: Mapping[str, Any]) -> bool:
        """Whether the call has to be asked."""
        return self.check(tool_name, args) is PermissionDecision.ask

    def matching_rules(self, tool_name: str, args: Mapping[str, Any], *, workspace: str = "") -> MatchingRules:
        """All rules that have a say about the call, whether or not the policy is enabled."""
        call = call_of(tool_name, args, workspace)
        return MatchingRules(
            deny=_concerned(self.deny, call.parts),
            allow=tuple(rule for rule in self.allow if _has_a_say(rule, call)),
            ask=_concerned(self.ask, call.parts),
        )

    def _list(self, kind: PermissionDecision | str) -> tuple[PermissionRule, ...]:
        match PermissionDecision(kind):
            case PermissionDecision.deny:
                return self.deny
            case PermissionDecision.allow:
                return self.allow
            case PermissionDecision.ask:
                return self.ask


def _concerned(rules: tuple[PermissionRule, ...], parts: tuple[Part, ...]) -> tuple[PermissionRule, ...]:
    return tuple(rule for rule in rules if any(rule.parsed.concerns(part) for part in parts))


def _has_a_say(rule: PermissionRule, call: Call) -> bool:
    return rule.parsed.spells_out(call) or any(rule.parsed.allows(part) for part in call.parts)
