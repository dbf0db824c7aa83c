"""Whatever happens to sessions: several stores answer as one store does to which the same happens."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any, NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from actors.domain.journal import Filter, NewSession, Origin
from actors.errors import GreenroomError
from actors.storage.memory import MemoryBackend
from actors.storage.service import StoreService
from actors.storage.several.opening import Serving
from actors.storage.several.stores import SeveralStores
from tests.unit.storage.samples import TENANT, action, at, info, new, outbox, part
from tests.unit.storage.test_several import several

STORES = ("default", "second", "third")
IDS = ("a", "b", "c", "A", "d", "e")

MOMENTS = st.integers(0, 3)
ID = st.sampled_from(IDS)


class Step(NamedTuple):
    """Something that happens: a kind, the session that it happens to, and the rest."""

    kind: str
    name: str
    store: str
    other: str
    moment: int


STEPS = st.lists(
    st.builds(
        Step,
        st.sampled_from(("create", "create", "append", "append", "birth", "fork", "mail", "destroy", "take", "read")),
        ID,
        st.sampled_from(STORES),
        ID,
        MOMENTS,
    ),
    max_size=25,
)


class World:
    """One way to keep sessions, and what is told of them. Journals are numbered as they are made, in both worlds."""

    def __init__(self, stores: Serving, choose: bool) -> None:
        self._stores = stores
        self._choose = choose
        self.names: dict[str, str] = {}
        self._heads: dict[str, int] = {}
        self._epochs: dict[str, int] = {}
        self._count = 0

    async def do(self, step: Step) -> Any:
        """What the step answers; of an error, which one it is: of several reasons to refuse a birth, any."""
        self._count += 1
        try:
            return await getattr(self, f"_{step.kind}")(step)
        except GreenroomError as error:
            return "refused" if step.kind == "birth" else (type(error).__name__, error.args)

    def _new(self, name: str, step: Step, **values: Any) -> NewSession:
        made = new(name)
        row = info(name, journal_id=f"J{self._count}", updated_at=at(step.moment), wake_at=at(step.moment), **values)
        return replace(made, row=row)

    async def _create(self, step: Step) -> Any:
        made = self._new(step.name, step)
        store = {"store": step.store} if self._choose else {}
        created = await self._stores.create(TENANT, f"c{self._count}", "d", [made], **store)
        self._is_born(made, 1)
        return created

    def _is_born(self, made: NewSession, head: int) -> None:
        self.names[made.row.session_id] = made.row.journal_id
        self._heads[made.row.journal_id] = head

    async def _take(self, step: Step) -> Any:
        name = self.names.get(step.name, "none")
        begun = await self._stores.activate(TENANT, name, 1, self._count)
        self._epochs[name] = begun.epoch
        return begun

    async def _append(self, step: Step, **values: Any) -> Any:
        name = self.names.get(step.name, "none")
        head, epoch = self._heads.get(name, 1), self._epochs.get(name, 0)
        asked = action(f"act{self._count}", step.moment).model_copy(update={"session_id": step.name})
        written = part(step.name, head, epoch=epoch, actions=(asked,), blobs={f"d{self._count}": b"x"}, **values)
        row = written.row.model_copy(update={"journal_id": name, "updated_at": at(step.moment)})
        appended = await self._stores.append(replace(written, journal_id=name, row=row, batch_id=f"b{self._count}"))
        self._heads[name] = appended.head_seq
        return appended

    async def _birth(self, step: Step) -> Any:
        parent = self.names.get(step.name)
        made = self._new(step.other, step, parent_journal_id=parent)
        appended = await self._append(step, creations=(made,))
        self._is_born(made, 1)
        return appended

    async def _fork(self, step: Step) -> Any:
        source = self.names.get(step.name, "none")
        upto = self._heads.get(source, 1)
        made = self._new(step.other, step, head_seq=upto + 1)
        made = replace(made, origin=Origin(source, upto), records=(replace(made.records[0], seq=upto + 1),))
        created = await self._stores.create(TENANT, f"f{self._count}", "d", [made])
        self._is_born(made, upto + 1)
        return created

    async def _mail(self, step: Step) -> Any:
        name = self.names.get(step.name, "none")
        # Nobody writes to anybody outside the family, and so outside the store.
        return await self._append(step, outbox=(replace(outbox(self._heads.get(name, 1) + 1), target_journal_id=name),))

    async def _destroy(self, step: Step) -> Any:
        return await self._stores.destroy(TENANT, self.names.get(step.name, ""), f"x{self._count}", "d")

    async def _read(self, step: Step) -> Any:
        name = self.names.get(step.name, "none")
        return await self._stores.records(TENANT, name, limit=step.moment + 1)

    async def told(self) -> list[Any]:
        """All that listings and the registry's questions answer."""
        stores = self._stores
        digests = [f"d{number}" for number in range(self._count + 1)]
        told: list[Any] = [await stores.find(TENANT, name) for name in IDS]
        for name in self.names.values():
            told += [await stores.row(TENANT, name), await stores.letters(TENANT, name)]
            told.append(await stores.rows(TENANT, Filter(parent_journal_id=name)))
        told += [await stores.count(TENANT, Filter()), await stores.next_wake(), await stores.receivers()]
        told += [await stores.blobs(TENANT, digests), sorted(one.journal_id for one in await stores.due(at(9)))]
        for limit in (2, 1000):
            told += [await self._pages("rows", limit), await self._pages("actions", limit)]
        return told

    async def _pages(self, kind: str, limit: int) -> list[Any]:
        found: list[Any] = []
        cursor: str | None = None
        while True:
            if kind == "rows":
                page, cursor = await self._stores.rows(TENANT, Filter(), after=cursor, limit=limit)
            else:
                page, cursor = await self._stores.actions(TENANT, after=cursor, limit=limit)
            found += [page, cursor]
            if cursor is None:
                return found


@given(STEPS)
def test_several_stores_answer_as_one(steps: list[Step]) -> None:
    async def both() -> None:
        beside: SeveralStores = several(*((name, MemoryBackend()) for name in STORES))
        async with beside, StoreService(MemoryBackend()) as alone:
            one, more = World(alone, choose=False), World(beside, choose=True)
            for step in steps:
                assert await more.do(step) == await one.do(step), step
            assert await more.told() == await one.told()

    asyncio.run(both())
