"""Bodies of requests and answers that exist on HTTP only; everything else is a model of ``actors.domain`` as it is."""

from __future__ import annotations

from typing import Annotated, Any, Generic, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, Tag, WithJsonSchema

from actors.checks import MAX_PROMPT
from actors.domain.actions import Action, Resolution
from actors.domain.children import MAX_CHILDREN
from actors.domain.ids import MAX_SESSION_ID
from actors.domain.llm import MAX_TOKENS, LlmConfig
from actors.domain.messages import Message
from actors.domain.permissions import PermissionDecision, PermissionPolicy
from actors.domain.policies import ConfirmationPolicy, OnBusy
from actors.domain.session import SessionConfig

MAX_BULK = 10_000
"""Sessions of one bulk create: one transaction that the store can hold."""

SESSION_ID_SCHEMA: dict[str, Any] = {
    "type": "string",
    "minLength": 1,
    "maxLength": MAX_SESSION_ID,
    "pattern": "^[A-Za-z0-9_-][A-Za-z0-9_.-]*$",
}
"""The rule for session ids, for readers of the description; ``actors.domain.ids`` enforces it."""

SessionIdText = Annotated[str, WithJsonSchema(SESSION_ID_SCHEMA)]


def _without_credential(model: LlmConfig) -> LlmConfig:
    if model.credential_id is not None:
        raise ValueError("credential_id is made by the service; give the key as api_key")
    return model


def _with_own_key(config: SessionConfig) -> SessionConfig:
    if config.model is not None:
        _without_credential(config.model)
    return config


GivenModel = Annotated[LlmConfig, AfterValidator(_without_credential)]
"""A model that a client names. Events tell the ids of others' keys, which are not for it to send anywhere."""

GivenConfig = Annotated[SessionConfig, AfterValidator(_with_own_key)]
"""A configuration with such a model."""

ModelName = Annotated[str, WithJsonSchema({"type": "string", "pattern": "^[^/]+/.+$"})]

Item = TypeVar("Item")


class Body(BaseModel):
    """What a client sends: unknown members are refused, so that a typing error is not silently ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class Answer(BaseModel):
    """What the service sends."""

    model_config = ConfigDict(frozen=True, protected_namespaces=())


class Page(Answer, Generic[Item]):
    """A part of a list. ``next`` goes into ``after`` for the next part; None at the end."""

    items: tuple[Item, ...]
    next: str | None = None


class Items(Answer, Generic[Item]):
    """A whole list."""

    items: tuple[Item, ...]


class CreateSession(Body):
    """A new session. Without ``session_id`` the service makes one up."""

    session_id: SessionIdText | None = None
    config: GivenConfig = SessionConfig()


class CreateSessions(Body):
    """Many new sessions of one configuration: all of them or none."""

    session_ids: tuple[SessionIdText, ...] = Field(min_length=1, max_length=MAX_BULK)
    config: GivenConfig = SessionConfig()


class CreatedSessions(Answer):
    """The sessions that exist now."""

    session_ids: tuple[str, ...]


class CreateChild(Body):
    """A new child of the session in the path."""

    session_id: SessionIdText
    config: GivenConfig = SessionConfig()


class ChildTask(Body):
    """A child to be started with a task. Without ``session_id`` the service makes one up."""

    prompt: str = Field(min_length=1, max_length=MAX_PROMPT, json_schema_extra={"pattern": r"\S"})
    session_id: SessionIdText | None = None
    config: GivenConfig = SessionConfig()


class Fork(Body):
    """A fork of the session in the path: its id, the place it begins behind, and its name."""

    session_id: str
    at: int | None = Field(default=None, ge=1, le=2**53)
    name: str | None = Field(default=None, max_length=256)


class Rewind(Body):
    """The place to go back to."""

    to: int = Field(ge=1, le=2**53)


class SpawnChildren(Body):
    """Many new children of the session in the path, each with a task: all of them or none."""

    children: tuple[ChildTask, ...] = Field(min_length=1, max_length=MAX_CHILDREN)


def _one_or_many(value: Any) -> str:
    has_many = "children" in value if isinstance(value, dict) else isinstance(value, SpawnChildren)
    return "many" if has_many else "one"


AnyChildren = Annotated[
    Annotated[CreateChild, Tag("one")] | Annotated[SpawnChildren, Tag("many")], Discriminator(_one_or_many)
]
"""Either form; which one was meant is told by its members."""


class ConfigureSession(Body):
    """Changes of a session's configuration: only members that are given change.

    Attributes:
        model: A model as ``provider/model`` or with all its settings; a key in it is kept in memory only.
        system_prompt: None removes it.
    """

    name: str | None = Field(default=None, max_length=256)
    model: GivenModel | ModelName | None = None
    thinking: bool | None = None
    thinking_budget: int | None = Field(default=None, ge=1024, le=MAX_TOKENS)
    system_prompt: str | None = Field(default=None, max_length=100_000)


class PromptInput(Body):
    """An input of plain text."""

    prompt: str = Field(min_length=1, max_length=MAX_PROMPT, json_schema_extra={"pattern": r"\S"})
    on_busy: OnBusy = OnBusy.enqueue


class MessageInput(Body):
    """An input of any content blocks."""

    message: Message
    on_busy: OnBusy = OnBusy.enqueue


def _shape(value: Any) -> str:
    has_message = "message" in value if isinstance(value, dict) else isinstance(value, MessageInput)
    return "message" if has_message else "prompt"


AnyInput = Annotated[
    Annotated[PromptInput, Tag("prompt")] | Annotated[MessageInput, Tag("message")], Discriminator(_shape)
]
"""Either form; which one was meant is told by its members, so that an error is about that one."""


class Accepted(Answer):
    """A receipt: the input is durable.

    Attributes:
        seq: Place of the input in the journal; stream or page events after ``seq - 1`` to see it.
        why: ``accepted`` when nobody asked to wait; ``timeout`` when the turn goes on, ``requires_action`` when it
            waits for a person.
        actions: With ``requires_action``: what it waits for.
    """

    session_id: str
    journal_id: str
    input_id: str
    seq: int
    why: str = "accepted"
    actions: tuple[Action, ...] = ()


class AddedMessage(Answer):
    """Place of the message in the journal."""

    seq: int


class Changed(Answer):
    """Whether the command changed anything."""

    changed: bool


class ResolveAction(Body):
    """A decision.

    Attributes:
        args: Other arguments to run the call with (approve only).
        value: The result to give the model (answer only).
        args_digest: The digest of the arguments the decider saw; refused when they are others.
    """

    resolution: Resolution
    args: dict[str, Any] | None = None
    value: str | None = None
    reason: str | None = Field(default=None, max_length=4096)
    args_digest: str | None = None


class Policies(Answer):
    """Both policies of a session, as in force."""

    permission: PermissionPolicy
    confirmation: ConfirmationPolicy


class SetPolicies(Body):
    """New policies; one that is left out stays."""

    permission: PermissionPolicy | None = None
    confirmation: ConfirmationPolicy | None = None


class CheckPermission(Body):
    """A call that is only asked about, not made."""

    tool: str = Field(min_length=1, max_length=256)
    args: dict[str, Any] = {}


class AddRule(Body):
    """One rule more for a session's permission policy."""

    kind: PermissionDecision
    rule: str = Field(min_length=1, max_length=1024)


class TryPolicy(Body):
    """A permission policy that is only tried on what was called before."""

    policy: PermissionPolicy
    after: int = Field(default=0, ge=0)
    limit: int = Field(default=100, ge=1, le=1000)


class Decision(Answer):
    """What the permission policy says."""

    decision: PermissionDecision


class Health(Answer):
    """The process answers."""

    status: str = "ok"
    version: str


class StoreState(Answer):
    """One store and whether it works."""

    name: str
    ok: bool
    error: str | None = None


class Ready(Answer):
    """The service can take work."""

    status: str = "ready"
    stores: tuple[StoreState, ...]
