"""The one error tree of Greenroom: what can go wrong, what it carries, and what to do next.

    GreenroomError
    |-- InvalidRequest            input refused at the edge, nothing has happened
    |   |-- InvalidSessionId
    |   |-- InvalidConfig
    |   +-- UnknownProvider
    |-- SessionNotFound           no such session (also: an old handle on a re-created id)
    |-- SessionExists
    |-- SessionPaused
    |-- SessionEnded              completed or failed sessions take no more input
    |-- SessionBusy               on_busy="reject" met a running turn
    |-- InputNotFound
    |-- ActionNotFound
    |-- ActionSettled             somebody else's resolution was committed first
    |-- ArtifactNotFound
    |-- AuthorizationNotFound     no MCP server waits for it: used, expired, or never asked for
    |-- McpServerExists           another server's tools would have the same names
    |-- McpServerNotFound
    |-- McpUnavailable            the server is not connected, or did not answer in time
    |-- McpRefused                the server says no, or what it says is of no use
    |-- ExternalTaskNotFound
    |-- ExternalTaskSettled       it has an outcome already
    |-- TaskLeased                another worker has claimed the task
    |-- TaskLeaseLost             the claim is over, or never was
    |-- CommandConflict           a command id was used before with other arguments
    |-- TurnPending               not an outcome yet: carries the receipt to wait with
    |-- ChildrenPending           not all answers yet: ask for what there is, or wait on
    |-- CompactionPending         the context is not compacted yet: wait on
    |-- TurnFailed                the turn ended without an answer
    |   +-- BudgetExceeded        the budget was used up, and nobody granted more
    |-- SecurityUnavailable       a security provider has not looked through it, so it is not used
    |-- ModelError
    |   |-- NoModel
    |   |-- ModelAuthFailed
    |   |   +-- CredentialMissing the key that was given is not in memory any more
    |   |-- ModelUnpriced         nobody knows its price, and money is bounded
    |   |-- ModelUnavailable      stayed overloaded or silent; may be tried again
    |   |   +-- ModelUnreachable  no connection at all
    |   |-- ModelRejected         the provider refused the request
    |   |   +-- ContextExceeded   the conversation is longer than the model's window
    |   +-- ModelProtocolError    the provider's answer was broken or cut short
    |-- ToolError                 a tool says no; the text goes to the model
    |   +-- PathOutsideWorkspace
    |-- StoreError
    |   |-- StoreUnavailable      nothing was acknowledged; try again
    |   |-- StoreInUse
    |   |-- StoreNotFound         there is no database to read
    |   |-- StoreExists           there is one where another is to be put
    |   |-- StoreLost
    |   |-- StoreCorrupt
    |   |   +-- RowCorrupt          one session's; the others are as they were
    |   |-- StoreNotWritable
    |   +-- SnapshotTooNew
    |-- RuntimeExists
    |-- RuntimeNotFound
    |-- PortInUse
    |-- Overloaded                a bound was reached; carries retry_after_s
    |-- Unauthorized
    |-- Fenced                    a newer activation owns the session; this one must stop
    |-- NotHere                   the session is not resident in the asked actor
    |-- HostGone                  an effect host is another incarnation, or dead
    |-- TransportLost             the connection broke: the outcome is unknown
    +-- InternalError

Every error passes all its arguments to ``Exception.__init__``, so it survives pickling, and travels between
processes as ``to_wire``'s plain values. ``status`` is the HTTP status that the service answers with.
"""

from __future__ import annotations

from typing import ClassVar, cast


class GreenroomError(Exception):
    """Root of all errors raised by Greenroom on purpose.

    Attributes:
        status: The HTTP status the service answers with.
        retryable: Whether the same call may succeed later without any change by the caller.
    """

    status: ClassVar[int] = 500
    retryable: ClassVar[bool] = False

    @property
    def code(self) -> str:
        """The stable name of this kind of error, such as ``SessionNotFound``."""
        return type(self).__name__

    @property
    def message(self) -> str:
        """One sentence that says what happened and what to do."""
        return str(self.args[0]) if self.args else self.code

    @property
    def retry_after_s(self) -> float | None:
        """Seconds after which trying again makes sense; None when it does not."""
        return None

    def __str__(self) -> str:
        return self.message


class InternalError(GreenroomError):
    """A defect: something that the code did not expect. ``detail`` names the kind of exception only."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)

    @property
    def message(self) -> str:
        return f"Unexpected failure inside Greenroom ({self.args[0]}); see the log of the process that raised it."


def _shown(name: str) -> str:
    """A name that somebody gave, quoted, and cut where it is longer than any valid one."""
    text = str(name)
    return repr(text if len(text) <= 140 else f"{text[:140]}...")


# --- bad input -------------------------------------------------------------------------------------------------


class InvalidRequest(GreenroomError):
    """Input that was refused at the edge; nothing has happened. The only argument is the sentence."""

    status = 422

    def __init__(self, reason: str) -> None:
        super().__init__(reason)


class InvalidSessionId(InvalidRequest):
    """A Session ID that breaks the naming rule."""

    def __init__(self, session_id: str, reason: str) -> None:
        Exception.__init__(self, session_id, reason)
        self.session_id = session_id
        self.reason = reason

    @property
    def message(self) -> str:
        return (
            f"Session ID {_shown(self.session_id)} {self.reason}. Use 1 to 128 ASCII letters, digits, '-', '_' and '.'."
        )


class InvalidConfig(InvalidRequest):
    """A configuration value that cannot be used."""


class UnknownProvider(InvalidRequest):
    """A model name whose provider is not known."""

    def __init__(self, provider: str, known: tuple[str, ...] | list[str]) -> None:
        Exception.__init__(self, provider, tuple(known))
        self.provider = provider
        self.known = tuple(known)

    @property
    def message(self) -> str:
        return (
            f"Unknown model provider {self.provider!r}. Name models provider/model with one of "
            f"{', '.join(self.known)}, or give base_url for any OpenAI-compatible server."
        )


# --- sessions, commands, turns -----------------------------------------------------------------------------------


class SessionNotFound(GreenroomError):
    """No session of this id in this tenant."""

    status = 404

    def __init__(self, session_id: str) -> None:
        super().__init__(session_id)
        self.session_id = session_id

    @property
    def message(self) -> str:
        return f"There is no session {_shown(self.session_id)}. Create it, or list sessions to see what there is."


class SessionExists(GreenroomError):
    """The id, or some of the ids of a bulk create, are in use. ``session_ids`` lists them."""

    status = 409

    def __init__(self, session_ids: tuple[str, ...] | list[str]) -> None:
        super().__init__(tuple(session_ids))
        self.session_ids = tuple(session_ids)

    @property
    def message(self) -> str:
        shown = ", ".join(repr(one) for one in self.session_ids[:5])
        more = f" and {len(self.session_ids) - 5} more" if len(self.session_ids) > 5 else ""
        return f"Session {shown}{more} exists already. Pick another id, or destroy it first."


class SessionPaused(GreenroomError):
    """The session is paused and takes no input."""

    status = 409

    def __init__(self, session_id: str) -> None:
        super().__init__(session_id)
        self.session_id = session_id

    @property
    def message(self) -> str:
        return f"Session {self.session_id!r} is paused. Resume it before sending input."


class SessionEnded(GreenroomError):
    """The session is in state completed or error."""

    status = 409

    def __init__(self, session_id: str, state: str) -> None:
        super().__init__(session_id, state)
        self.session_id = session_id
        self.state = state

    @property
    def message(self) -> str:
        way_on = "Resume it to go on" if self.state == "error" else "Create another session"
        return f"Session {self.session_id!r} is in state {self.state} and takes no input. {way_on}."


class SessionBusy(GreenroomError):
    """A turn is running and the input came with ``on_busy="reject"``."""

    status = 409
    retryable = True

    def __init__(self, session_id: str) -> None:
        super().__init__(session_id)
        self.session_id = session_id

    @property
    def message(self) -> str:
        return f"Session {self.session_id!r} is running a turn. Wait for it, or send with on_busy='enqueue'."


class InputNotFound(GreenroomError):
    """No queued input of this id: it was never there, was withdrawn, or a turn has taken it."""

    status = 404

    def __init__(self, input_id: str) -> None:
        super().__init__(input_id)
        self.input_id = input_id

    @property
    def message(self) -> str:
        return f"There is no queued input {_shown(self.input_id)}; a turn may have taken it already."


class ActionNotFound(GreenroomError):
    """The session never asked for this action."""

    status = 404

    def __init__(self, action_id: str) -> None:
        super().__init__(action_id)
        self.action_id = action_id

    @property
    def message(self) -> str:
        return f"There is no action {_shown(self.action_id)}. List the session's actions to see what it waits for."


class ActionSettled(GreenroomError):
    """The first committed resolution wins; ``resolution`` says what it was."""

    status = 409

    def __init__(self, action_id: str, resolution: str) -> None:
        super().__init__(action_id, resolution)
        self.action_id = action_id
        self.resolution = resolution

    @property
    def message(self) -> str:
        return f"Action {self.action_id!r} is settled already ({self.resolution}). Nothing is left to decide."


class ArtifactNotFound(GreenroomError):
    """The session has no such artifact, or no longer."""

    status = 404

    def __init__(self, artifact_id: str) -> None:
        super().__init__(artifact_id)
        self.artifact_id = artifact_id

    @property
    def message(self) -> str:
        return f"There is no artifact {_shown(self.artifact_id)}. List the session's artifacts to see those there are."


class AuthorizationNotFound(GreenroomError):
    """No MCP server waits for this authorization."""

    status = 404

    def __init__(self) -> None:
        super().__init__()

    @property
    def message(self) -> str:
        return (
            "No MCP server waits for this authorization: it was used already, is too late, or is somebody else's. Take "
            "the authorization_url that the server's status has now, and visit it."
        )


class McpServerExists(GreenroomError):
    """A session would see two MCP servers of one name: its own, and one that all share."""

    status = 409

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name

    @property
    def message(self) -> str:
        return (
            f"There is an MCP server {_shown(self.name)} already, and its tools would have the same names. "
            "Choose another name, or remove that one."
        )


class McpServerNotFound(GreenroomError):
    """No MCP server of this name is there for whoever asks."""

    status = 404

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name

    @property
    def message(self) -> str:
        return f"There is no MCP server {_shown(self.name)} here. mcp_status tells those there are."


class McpUnavailable(GreenroomError):
    """The server is not connected, was lost, or did not answer in time."""

    status = 503
    retryable = True

    def __init__(self, name: str, detail: str) -> None:
        super().__init__(name, detail)
        self.name = name
        self.detail = detail

    @property
    def message(self) -> str:
        return f"MCP server {self.name!r} cannot be asked now: {self.detail}. See mcp_status, or try again."


class McpRefused(GreenroomError):
    """The server says no, or what it says is of no use."""

    status = 502

    def __init__(self, name: str, detail: str) -> None:
        super().__init__(name, detail)
        self.name = name
        self.detail = detail

    @property
    def message(self) -> str:
        return f"MCP server {self.name!r} gave nothing that can be used: {self.detail}."


class ExternalTaskNotFound(GreenroomError):
    """The session never offered this task."""

    status = 404

    def __init__(self, task_id: str) -> None:
        super().__init__(task_id)
        self.task_id = task_id

    @property
    def message(self) -> str:
        return f"There is no external task {_shown(self.task_id)}. List the session's tasks to see what is to be done."


class ExternalTaskSettled(GreenroomError):
    """The first outcome of a task stands; ``resolution`` says what it was."""

    status = 409

    def __init__(self, task_id: str, resolution: str) -> None:
        super().__init__(task_id, resolution)
        self.task_id = task_id
        self.resolution = resolution

    @property
    def message(self) -> str:
        return f"External task {self.task_id!r} is settled already ({self.resolution}). The model does not see this."


class TaskLeased(GreenroomError):
    """A worker has claimed the task. ``expires_at`` is when the claim ends, in ISO 8601."""

    status = 409
    retryable = True

    def __init__(self, task_id: str, worker: str, expires_at: str) -> None:
        super().__init__(task_id, worker, expires_at)
        self.task_id = task_id
        self.worker = worker
        self.expires_at = expires_at

    @property
    def message(self) -> str:
        return f"External task {self.task_id!r} is claimed by {self.worker!r} until {self.expires_at}. Take another."


class TaskLeaseLost(GreenroomError):
    """The result was not given under the claim that the task has now."""

    status = 409

    def __init__(self, task_id: str) -> None:
        super().__init__(task_id)
        self.task_id = task_id

    @property
    def message(self) -> str:
        return (
            f"External task {self.task_id!r} is not, or no longer, claimed with the lease that came with the result. "
            f"Claim it first, and prolong the claim in time."
        )


class CommandConflict(GreenroomError):
    """The command id (idempotency key) was used before with other arguments."""

    status = 409

    def __init__(self, command_id: str) -> None:
        super().__init__(command_id)
        self.command_id = command_id

    @property
    def message(self) -> str:
        return f"Command id {self.command_id!r} was used before with other arguments. Use a new id for a new command."


class TurnPending(GreenroomError):
    """The turn goes on; this is not a failure. Wait again with ``wait_turn(receipt)``.

    ``receipt`` is the plain form of the ``Receipt`` (``input_id`` and ``seq``), ``why`` is ``timeout`` or
    ``requires_action``.
    """

    status = 202
    retryable = True

    def __init__(self, session_id: str, input_id: str, seq: int, why: str = "timeout") -> None:
        super().__init__(session_id, input_id, seq, why)
        self.session_id = session_id
        self.input_id = input_id
        self.seq = seq
        self.why = why

    @property
    def message(self) -> str:
        if self.why == "requires_action":
            return (
                f"The turn of session {self.session_id!r} waits for a decision. Resolve its actions, then wait again."
            )
        return f"The turn of session {self.session_id!r} goes on. Wait for it with wait_turn(receipt)."


class ChildrenPending(GreenroomError):
    """Fewer children than were waited for have answered in time: ``answered`` of ``wanted``."""

    status = 202
    retryable = True

    def __init__(self, session_id: str, answered: int, wanted: int) -> None:
        super().__init__(session_id, answered, wanted)
        self.session_id = session_id
        self.answered = answered
        self.wanted = wanted

    @property
    def message(self) -> str:
        return (
            f"{self.answered} of {self.wanted} children of session {self.session_id!r} have answered. "
            "Wait on with wait_children, or look at child_results."
        )


class CompactionPending(GreenroomError):
    """The compaction of the context goes on; this is not a failure."""

    status = 202
    retryable = True

    def __init__(self, session_id: str) -> None:
        super().__init__(session_id)
        self.session_id = session_id

    @property
    def message(self) -> str:
        return (
            f"The context of session {self.session_id!r} is being compacted. Wait on by compacting it again with the "
            "same command id, or follow its events."
        )


class TitlePending(GreenroomError):
    """The model has not found the title yet; this is not a failure."""

    status = 202
    retryable = True

    def __init__(self, session_id: str) -> None:
        super().__init__(session_id)
        self.session_id = session_id

    @property
    def message(self) -> str:
        return (
            f"The title of session {self.session_id!r} is on its way. Wait on by asking for it again with the same "
            "command id, or follow its events."
        )


class TurnFailed(GreenroomError):
    """The turn ended without an answer. ``reason`` is the sentence, ``error_code`` the kind of failure."""

    status = 502

    def __init__(self, session_id: str, turn_id: str, error_code: str, reason: str) -> None:
        super().__init__(session_id, turn_id, error_code, reason)
        self.session_id = session_id
        self.turn_id = turn_id
        self.error_code = error_code
        self.reason = reason

    @property
    def message(self) -> str:
        return f"{self.reason} (session {self.session_id!r}; what was done is kept in its history)"


class OutputInvalid(GreenroomError):
    """The answer has not the form that was asked for, also after the model was told so; ``problem`` says why."""

    status = 502

    def __init__(self, session_id: str, turn_id: str, problem: str) -> None:
        super().__init__(session_id, turn_id, problem)
        self.session_id = session_id
        self.turn_id = turn_id
        self.problem = problem

    @property
    def message(self) -> str:
        return (
            f"The answer does not fit its schema: {self.problem} (session {self.session_id!r}; its history has the "
            "answer). Ask again, make the schema simpler, or let the model try more often (max_continuations)."
        )


class BudgetExceeded(TurnFailed):
    """The budget was used up, and whoever was asked granted no more."""

    status = 402

    @property
    def message(self) -> str:
        return (
            f"{self.reason} (session {self.session_id!r}; what was done is kept in its history). Raise the budget with "
            "configure, or grant more when it asks again."
        )


# --- models --------------------------------------------------------------------------------------------------------


class ModelError(GreenroomError):
    """A model call failed. The only argument is the sentence."""

    status = 502

    def __init__(self, reason: str) -> None:
        super().__init__(reason)


class NoModel(ModelError):
    """Neither the session nor the runtime has a model."""

    status = 409

    def __init__(self, session_id: str = "") -> None:
        Exception.__init__(self, session_id)
        self.session_id = session_id

    @property
    def message(self) -> str:
        return (
            "No model is configured. Give SessionConfig(model='provider/model'), call set_default_llm, or set "
            "GREENROOM_MODEL; 'local/smollm2-135m-instruct' needs no key."
        )


class ModelAuthFailed(ModelError):
    """The provider refused the key, or none was configured."""

    status = 502

    def __init__(self, provider: str, detail: str) -> None:
        Exception.__init__(self, provider, detail)
        self.provider = provider
        self.detail = detail

    @property
    def message(self) -> str:
        return f"Provider {self.provider!r} refused the credentials: {self.detail}. Check the API key in settings."


class CredentialMissing(ModelAuthFailed):
    """The key that was given for a model is not in memory any more, so nothing was sent. ``model``: provider/model."""

    status = 409

    def __init__(self, model: str, credential_id: str) -> None:
        Exception.__init__(self, model, credential_id)
        self.provider = model.partition("/")[0]
        self.detail = "the key that was given is not in memory any more"
        self.model = model
        self.credential_id = credential_id

    @property
    def message(self) -> str:
        return (
            f"The key that was given for model {self.model!r} is not in memory any more, and nowhere else is one kept. "
            "Give it again with configure, or with set_default_llm where it is the model of sessions that name none."
        )


class ModelUnpriced(ModelError):
    """Nobody knows what a model costs, and the session's budget bounds money, so nothing was sent."""

    status = 402

    def __init__(self, model: str) -> None:
        super().__init__(model)
        self.model = model

    @property
    def message(self) -> str:
        return (
            f"Nobody knows the price of model {self.model!r}, and the session's budget bounds US dollars. Approve to "
            "go on without counting its calls in money, take another model, or bound something else."
        )


class ModelUnavailable(ModelError):
    """The provider stayed overloaded, or gave no answer in time."""

    status = 503
    retryable = True

    def __init__(self, provider: str, detail: str, retry_after: float | None = None) -> None:
        Exception.__init__(self, provider, detail, retry_after)
        self.provider = provider
        self.detail = detail
        self.retry_after = retry_after

    @property
    def message(self) -> str:
        return f"Provider {self.provider!r} is not available: {self.detail}. Check base_url and the network, or retry."

    @property
    def retry_after_s(self) -> float | None:
        return self.retry_after


class ModelUnreachable(ModelUnavailable):
    """No connection could be made at all."""

    @property
    def message(self) -> str:
        return f"Provider {self.provider!r} cannot be reached: {self.detail}. Check base_url and the network."


class ModelRejected(ModelError):
    """The provider refused the request itself, so trying again does not help. ``http_status`` is 0 when unknown."""

    def __init__(self, provider: str, http_status: int, detail: str) -> None:
        Exception.__init__(self, provider, http_status, detail)
        self.provider = provider
        self.http_status = http_status
        self.detail = detail

    @property
    def message(self) -> str:
        return f"Provider {self.provider!r} refused the request ({self.http_status}): {self.detail}"


class ContextExceeded(ModelRejected):
    """The conversation is longer than the model's window; ``window`` is its size in tokens, where the provider says it.

    A session compacts its context and asks once more before it gives up.
    """

    def __init__(self, provider: str, http_status: int, detail: str, window: int | None = None) -> None:
        Exception.__init__(self, provider, http_status, detail, window)
        self.provider = provider
        self.http_status = http_status
        self.detail = detail
        self.window = window

    @property
    def message(self) -> str:
        return (
            f"The conversation does not fit into the model's window, says provider {self.provider!r}: {self.detail}. "
            "Compact or clear the session, send less at once, or choose a model with a larger window."
        )


class ModelProtocolError(ModelError):
    """The provider's answer was malformed, carried an error event, or ended early."""

    retryable = True

    def __init__(self, provider: str, detail: str) -> None:
        Exception.__init__(self, provider, detail)
        self.provider = provider
        self.detail = detail

    @property
    def message(self) -> str:
        return f"Provider {self.provider!r} sent a broken answer: {self.detail}. Trying again may help."


# --- tools ---------------------------------------------------------------------------------------------------------


class ToolError(GreenroomError):
    """A tool refuses or fails; the sentence goes to the model as the call's result."""

    status = 422

    def __init__(self, reason: str) -> None:
        super().__init__(reason)


class PathOutsideWorkspace(ToolError):
    """A path that leads out of the session's workspace."""

    def __init__(self, path: str) -> None:
        Exception.__init__(self, path)
        self.path = path

    @property
    def message(self) -> str:
        return f"Path {self.path!r} is outside the workspace. Use a path inside it, relative to its root."


# --- stores ----------------------------------------------------------------------------------------------------------


class StoreError(GreenroomError):
    """Something is wrong with the durable store. The only argument is the sentence."""

    status = 503

    def __init__(self, reason: str) -> None:
        super().__init__(reason)


class SecurityUnavailable(GreenroomError):
    """A security provider of the session's does not say what is to be withheld: nothing was written."""

    status = 503
    retryable = True

    def __init__(self, provider: str, why: str) -> None:
        super().__init__(provider, why)
        self.provider = provider
        self.why = why

    @property
    def message(self) -> str:
        return f"Security provider {self.provider!r} has not looked through this: {self.why}. Nothing of it was kept."


class StoreUnavailable(StoreError):
    """The store cannot commit now; nothing was acknowledged and it heals by itself."""

    retryable = True

    def __init__(self, detail: str, retry_after: float = 1.0) -> None:
        Exception.__init__(self, detail, retry_after)
        self.detail = detail
        self.retry_after = retry_after

    @property
    def message(self) -> str:
        return f"The store cannot take writes now: {self.detail}. Nothing was acknowledged; try again with the same id."

    @property
    def retry_after_s(self) -> float | None:
        return self.retry_after


class StoreInUse(StoreError):
    """A live runtime owns this store."""

    status = 409

    def __init__(self, location: str) -> None:
        Exception.__init__(self, location)
        self.location = location

    @property
    def message(self) -> str:
        return f"Store {self.location} is in use by a running runtime. Join it with SessionManager.connect()."


class StoreNotFound(StoreError):
    """There is no database at the place that was named."""

    status = 404

    def __init__(self, location: str) -> None:
        Exception.__init__(self, location)
        self.location = location

    @property
    def message(self) -> str:
        return f"There is no store at {self.location}. Name its directory, or the file of a backup."


class StoreExists(StoreError):
    """Something is at the place where a store, or a copy of one, is to be put."""

    status = 409

    def __init__(self, location: str) -> None:
        Exception.__init__(self, location)
        self.location = location

    @property
    def message(self) -> str:
        return (
            f"There is a database at {self.location} already. Choose another place; restoring with --force "
            "(force=True) takes its place and keeps it beside, under another name."
        )


class StoreLost(StoreError):
    """The store is gone with its actor (memory), or its file vanished."""

    def __init__(self, location: str) -> None:
        Exception.__init__(self, location)
        self.location = location

    @property
    def message(self) -> str:
        return f"Store {self.location} is lost: it lived in memory, or its files were removed. Its sessions are gone."


class StoreCorrupt(StoreError):
    """The database, or one of its rows, cannot be read."""

    def __init__(self, location: str, detail: str) -> None:
        Exception.__init__(self, location, detail)
        self.location = location
        self.detail = detail

    @property
    def message(self) -> str:
        return f"Store {self.location} is damaged: {self.detail}. Restore it from a backup; it was left untouched."


class RowCorrupt(StoreCorrupt):
    """What a store has of one session cannot be read. Everybody else's is as it was."""

    @property
    def message(self) -> str:
        return (
            f"Store {self.location} is damaged: {self.detail}. Restore it from a backup, or destroy the session; "
            "greenroom verify tells which it is."
        )


class StoreNotWritable(StoreError):
    """The store's directory or database cannot be made or written."""

    def __init__(self, location: str, detail: str) -> None:
        Exception.__init__(self, location, detail)
        self.location = location
        self.detail = detail

    @property
    def message(self) -> str:
        return f"Cannot write the store at {self.location}: {self.detail}. Choose another place or fix its rights."


class SnapshotTooNew(StoreError):
    """A snapshot or schema written by a newer release."""

    def __init__(self, found: int, known: int) -> None:
        Exception.__init__(self, found, known)
        self.found = found
        self.known = known

    @property
    def message(self) -> str:
        return f"The store has version {self.found}, this release knows {self.known}. Upgrade greenroom."


# --- runtime, transport, fencing -------------------------------------------------------------------------------------


class RuntimeExists(GreenroomError):
    """A live runtime of this name exists in this Ray cluster."""

    status = 409

    def __init__(self, runtime: str) -> None:
        super().__init__(runtime)
        self.runtime = runtime

    @property
    def message(self) -> str:
        return (
            f"A runtime named {self.runtime!r} is running in this cluster. Join it with SessionManager.connect(), "
            "or set Settings.runtime (GREENROOM_RUNTIME) to another name."
        )


class RuntimeNotFound(GreenroomError):
    """There is no runtime of this name to connect to."""

    status = 503

    def __init__(self, runtime: str) -> None:
        super().__init__(runtime)
        self.runtime = runtime

    @property
    def message(self) -> str:
        return f"No runtime named {self.runtime!r} runs here. Start one with SessionManager or 'greenroom serve'."


class PortInUse(GreenroomError):
    """The HTTP port is taken."""

    status = 409

    def __init__(self, host: str, port: int) -> None:
        super().__init__(host, port)
        self.host = host
        self.port = port

    @property
    def message(self) -> str:
        return f"Port {self.port} on {self.host} is in use. Stop what listens there, or choose another with --port."


class Overloaded(GreenroomError):
    """A bound was reached."""

    status = 503
    retryable = True

    def __init__(self, what: str, retry_after: float = 1.0) -> None:
        super().__init__(what, retry_after)
        self.what = what
        self.retry_after = retry_after

    @property
    def message(self) -> str:
        return f"Too much at once: {self.what}. Try again in {self.retry_after:g} s."

    @property
    def retry_after_s(self) -> float | None:
        return self.retry_after


class Unauthorized(GreenroomError):
    """A missing or wrong token."""

    status = 401

    def __init__(self, what: str) -> None:
        super().__init__(what)

    @property
    def message(self) -> str:
        return f"Not authorized: {self.args[0]}."


class Fenced(GreenroomError):
    """A newer activation of the journal exists; whoever gets this has to stop at once."""

    status = 409

    def __init__(self, journal_id: str, epoch: int, current: int) -> None:
        super().__init__(journal_id, epoch, current)
        self.journal_id = journal_id
        self.epoch = epoch
        self.current = current

    @property
    def message(self) -> str:
        return f"Epoch {self.epoch} of journal {self.journal_id} was replaced by {self.current}."


class Superseded(GreenroomError):
    """Another registry has taken over; the older one ends, and whoever asked it asks the other."""

    status = 503
    retryable = True

    def __init__(self, term: int, newest: int) -> None:
        super().__init__(term, newest)
        self.term = term
        self.newest = newest

    @property
    def message(self) -> str:
        return f"The registry of term {self.term} was replaced by that of term {self.newest}. Ask again."


class NotHere(GreenroomError):
    """The session is not resident in the asked actor; resolve it again."""

    status = 409
    retryable = True

    def __init__(self, journal_id: str, assignment_no: int) -> None:
        super().__init__(journal_id, assignment_no)
        self.journal_id = journal_id
        self.assignment_no = assignment_no

    @property
    def message(self) -> str:
        return f"Journal {self.journal_id} (assignment {self.assignment_no}) does not live here. Resolve it again."


class HostGone(GreenroomError):
    """The effect host is another incarnation than the one that was asked, or cannot be reached."""

    status = 503
    retryable = True

    def __init__(self, host_id: str, detail: str) -> None:
        super().__init__(host_id, detail)
        self.host_id = host_id
        self.detail = detail

    @property
    def message(self) -> str:
        return f"Effect host {self.host_id} is gone: {self.detail}."


class TransportLost(GreenroomError):
    """The connection broke while a call was open: it may or may not have been carried out."""

    status = 503
    retryable = True

    def __init__(self, address: str) -> None:
        super().__init__(address)
        self.address = address

    @property
    def message(self) -> str:
        return f"The connection to {self.address} was lost."


def _tree(root: type[GreenroomError]) -> dict[str, type[GreenroomError]]:
    found = {root.__name__: root}
    for child in root.__subclasses__():
        found |= _tree(child)
    return found


def to_wire(error: BaseException) -> dict[str, object]:
    """The plain form of an error: ``{"type": name, "args": [...]}``.

    What is not of this tree becomes an InternalError that names the exception's class and nothing else, since its
    text may hold anything.
    """
    known = error if isinstance(error, GreenroomError) else InternalError(type(error).__name__)
    return {"type": known.code, "args": list(known.args)}


def from_wire(wire: dict[str, object]) -> GreenroomError:
    """The error that ``to_wire`` described; a type this release does not know becomes an InternalError."""
    name = str(wire.get("type"))
    kind = _tree(GreenroomError).get(name)
    args = cast("list[object]", wire.get("args") or [])
    if kind is None:
        return InternalError(name)
    try:
        return kind(*args)
    except TypeError:
        return InternalError(name)
