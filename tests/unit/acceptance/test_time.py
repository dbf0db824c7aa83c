"""Moments of records: in UTC with their zone, and never before the one in front."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

from tests.unit.local.runtimes import calls, config, says, session


async def test_every_moment_is_in_utc_and_none_goes_back() -> None:
    async with session(config(calls(("ls", {})), says("done"))) as one:
        await one.generate("go")
        await one.hibernate()
        await one.generate("again")
        records = await one.records(limit=1000)
        info = await one.info()
    moments = [record.at for record in records]
    assert all(moment.utcoffset() == timedelta(0) for moment in (*moments, info.created_at, info.updated_at))
    assert all(earlier <= later for earlier, later in pairwise(moments))
    assert [record.seq for record in records] == list(range(1, len(records) + 1))
    assert info.updated_at == moments[-1]
