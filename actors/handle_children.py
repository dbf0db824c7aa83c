"""What a session does with its children: the third of ``SessionHandle`` that starts them and waits for them."""

from __future__ import annotations

from collections.abc import Sequence

from actors.checks import checked_command, checked_prompt, checked_timeout
from actors.domain import commands as c
from actors.domain.children import MAX_CHILDREN, ChildResult, ChildSpec, NewChild
from actors.domain.ids import check_session_id, derived_id, derived_journal_ids, utc_now
from actors.domain.session import SessionConfig, SessionInfo
from actors.errors import InvalidRequest, SessionNotFound
from actors.handle_commands import SessionCommands
from actors.model_choice import known_config
from actors.reading.children import Mode, results_of, wait_children
from actors.session.state import from_snapshot


class SessionChildren(SessionCommands):
    """The part of ``SessionHandle`` that is about children."""

    async def create_child(
        self, child_id: str, config: SessionConfig | None = None, *, command_id: str | None = None
    ) -> SessionInfo:
        """Create a child session without a task; what its configuration leaves open it takes from this session.

        Args:
            child_id: Its id.
            config: Its configuration.
            command_id: Makes the command repeatable: the same one gives the child that it made.

        Raises:
            SessionExists: the id is in use. CommandConflict.
            InvalidRequest, InvalidSessionId, InvalidConfig, UnknownProvider: refused before anything is written.
        """
        check_session_id(child_id)
        identity = self._identity(command_id)
        (journal_id,) = derived_journal_ids(1, self.journal_id, identity["command_id"])
        known = await self._at_home(await known_config(self._runtime, config or SessionConfig()))
        child = NewChild(child_id=child_id, child_journal_id=journal_id, config=known)
        await self._do(checked_command(lambda: c.SpawnChildren(**identity, children=(child,))))
        row = await self._runtime.store.row(self._tenant, journal_id)
        if row is None:
            raise SessionNotFound(child_id)
        return row

    async def spawn_many(self, specs: Sequence[ChildSpec | str], *, command_id: str | None = None) -> list[SessionInfo]:
        """Start up to 1,000 children with a task each, all or none, in one append of this session.

        They begin by themselves. What becomes of each task is told to this session's journal as ``child.completed``.

        Returns:
            The children as they are born, in the order of ``specs``.

        Raises:
            SessionExists: ids in use; it lists them.
            InvalidRequest, InvalidSessionId, InvalidConfig, UnknownProvider: refused before anything is written.
        """
        if not 0 < len(specs) <= MAX_CHILDREN:
            raise InvalidRequest(f"Start 1 to {MAX_CHILDREN} children at a time.")
        identity = self._identity(command_id)
        given = [spec if isinstance(spec, ChildSpec) else ChildSpec(prompt=spec) for spec in specs]
        place = (self.journal_id, identity["command_id"])
        names = _names(given, derived_id(f"{self.session_id[:96]}-", *place))
        children = [
            NewChild(
                child_id=name,
                child_journal_id=journal_id,
                config=await self._at_home(await known_config(self._runtime, spec.config)),
                task=checked_prompt(spec.prompt),
            )
            for spec, name, journal_id in zip(given, names, derived_journal_ids(len(given), *place), strict=True)
        ]
        await self._do(checked_command(lambda: c.SpawnChildren(**identity, children=tuple(children))))
        return [self._newborn(child) for child in children]

    async def _at_home(self, config: SessionConfig) -> SessionConfig:
        """A child's configuration that asks for the default store's kind, as its parent there has it: for none."""
        if config.storage_type is not self._runtime.stores[0].kind:
            return config
        state = from_snapshot((await self._runtime.store.state(self._tenant, self.journal_id)).body)
        return config.model_copy(update={"storage_type": None}) if state.config.storage_type is None else config

    def _newborn(self, child: NewChild) -> SessionInfo:
        now = utc_now()
        return SessionInfo(
            tenant=self._tenant,
            session_id=child.child_id,
            journal_id=child.child_journal_id,
            name=child.config.name,
            parent_id=self.session_id,
            parent_journal_id=self.journal_id,
            created_at=now,
            updated_at=now,
        )

    async def wait_children(
        self, mode: Mode = "all", *, children: Sequence[str] | None = None, timeout: float | None = None
    ) -> tuple[ChildResult, ...]:
        """Wait until ``"all"``, the ``"first"``, or a number of the children with tasks have answered.

        It waits at the store, over crashes of anything, and neither activates this session nor any child.

        Args:
            children: Ids of those that are meant; all that there are at the moment when None.
            timeout: Seconds to wait; None waits for as long as it takes.

        Returns:
            The answers that came first, in the order in which the children were started, or are named. A child that
            failed, or was cancelled or destroyed, is an answer too.

        Raises:
            ChildrenPending: not so many in time. ``child_results`` has what there is.
            InvalidRequest: there are not so many children with tasks, or not these.
        """
        seconds = checked_timeout(timeout)
        ids = (self._tenant, self.session_id, self.journal_id)
        return await wait_children(self._runtime.store, *ids, mode, children=children, timeout=seconds)

    async def child_results(self) -> tuple[ChildResult, ...]:
        """How every child with a task stands now, in the order in which they were started."""
        return await results_of(self._runtime.store, self._tenant, self.session_id, self.journal_id)


def _names(specs: Sequence[ChildSpec], stem: str) -> list[str]:
    names = [
        check_session_id(spec.session_id) if spec.session_id is not None else f"{stem}-{number}"
        for number, spec in enumerate(specs, 1)
    ]
    if len({name.lower() for name in names}) < len(names):
        raise InvalidRequest("The same session id stands in the list twice (case does not count).")
    return names
