"""The data plane as its two ends and strangers on the socket see it, on asyncio's own loop and on uvloop."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import itertools
import logging
import os
import stat
import struct
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.channel import (
    ChannelClient,
    ChannelServer,
    FrameSplitter,
    Handler,
    Heartbeat,
    Link,
    ServerLimits,
    frames,
    socket_directory,
)
from actors.errors import (
    Fenced,
    InternalError,
    InvalidConfig,
    InvalidRequest,
    Overloaded,
    TransportLost,
    Unauthorized,
)

TOKEN = "a-token-that-nobody-guesses"
QUICK = Heartbeat(interval_s=0.01, lost_after_s=0.03)
LIMIT_S = 20.0


def loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    found: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"asyncio": asyncio.new_event_loop}
    if find_spec("uvloop") is not None:
        import uvloop

        found["uvloop"] = uvloop.new_event_loop
    return found


LOOPS = loop_factories()


def on_each_loop(test: Callable[[Path], Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run an async test, which gets the path for a socket, once on each kind of event loop."""

    @pytest.mark.parametrize("loop", LOOPS)
    def run(loop: str, tmp_path: Path) -> None:
        async def bounded() -> None:
            async with asyncio.timeout(LIMIT_S):
                await test(tmp_path / "s")

        with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
            runner.run(bounded())

    run.__name__ = test.__name__
    assert not inspect.iscoroutinefunction(run)
    return run


async def echo(value: object) -> object:
    return value


@asynccontextmanager
async def serving(
    path: Path, handlers: Mapping[str, Handler], limits: ServerLimits | None = None
) -> AsyncGenerator[ChannelServer]:
    server = ChannelServer(handlers, TOKEN, limits)
    await server.start_unix(path)
    try:
        yield server
    finally:
        await server.close()


@asynccontextmanager
async def connected(
    path: Path, handlers: Mapping[str, Handler], limits: ServerLimits | None = None, window: int = 64
) -> AsyncGenerator[ChannelClient]:
    async with serving(path, handlers, limits):
        client = await ChannelClient.connect(f"unix:{path}", TOKEN, window=window)
        try:
            yield client
        finally:
            await client.close()


def mode_of(path: Path) -> int | None:
    """The permission bits, or None when nothing is there."""
    return stat.S_IMODE(path.stat().st_mode) if path.exists() else None


class LogOfChannels(logging.Handler):
    """What the package logged while it is entered."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))

    def __enter__(self) -> list[str]:
        logging.getLogger("actors.channel").addHandler(self)
        return self.lines

    def __exit__(self, *exc: object) -> None:
        logging.getLogger("actors.channel").removeHandler(self)


class Stranger:
    """A peer that speaks bytes, at either end of a socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._splitter = FrameSplitter()

    @classmethod
    async def connect(cls, path: Path, *, hello: bool = True) -> Stranger:
        peer = cls(*await asyncio.open_unix_connection(path))
        if hello:
            peer.send([frames.HELLO, 0, frames.PROTOCOL_VERSION, TOKEN])
            assert await peer.receive() == [frames.WELCOME, 0, frames.PROTOCOL_VERSION]
        return peer

    def send(self, *several: list[Any]) -> None:
        self.send_bytes(b"".join(frames.encode(frame) for frame in several))

    def send_bytes(self, data: bytes) -> None:
        self._writer.write(data)

    async def receive(self) -> list[Any]:
        head = await self._reader.readexactly(4)
        return frames.decode(await self._reader.readexactly(struct.unpack(">I", head)[0]))

    async def is_hung_up(self) -> bool:
        try:
            return await self._reader.read(1) == b""
        except ConnectionError:
            return True

    async def close(self) -> None:
        self._writer.transport.abort()
        try:
            await self._writer.wait_closed()
        except ConnectionError:
            pass


@asynccontextmanager
async def silent_server(path: Path) -> AsyncGenerator[None]:
    """Welcomes everybody and never says another word."""
    peers: list[Stranger] = []

    async def welcome(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peers.append(Stranger(reader, writer))
        await peers[-1].receive()
        peers[-1].send([frames.WELCOME, 0, frames.PROTOCOL_VERSION])

    server = await asyncio.start_unix_server(welcome, path)
    try:
        yield
    finally:
        server.close()
        for peer in peers:
            await peer.close()


class Blocked:
    """A handler that waits for ever, and says when it began and that it was cancelled."""

    def __init__(self) -> None:
        self.began = asyncio.Event()
        self.cancelled = asyncio.Event()

    async def handle(self) -> None:
        self.began.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise


class Counter:
    """A stream without end that counts what it produced, and says that it was stopped."""

    def __init__(self, item: object = b"") -> None:
        self.produced = 0
        self.stopped = asyncio.Event()
        self._item = item

    async def stream(self) -> AsyncIterator[object]:
        try:
            while True:
                self.produced += 1
                yield self._item or self.produced
        finally:
            self.stopped.set()

    async def count(self) -> int:
        return self.produced

    @property
    def handlers(self) -> dict[str, Handler]:
        return {"stream": self.stream, "count": self.count}


# --- frames ----------------------------------------------------------------------------------------------------------

scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.binary()
texts = st.text(st.characters(codec="utf-8"))
values = st.recursive(
    scalars | texts, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4)
)


@given(st.lists(values, max_size=5), st.data())
def test_frames_arrive_whole_however_the_bytes_are_split(sent: list[object], data: st.DataObject) -> None:
    stream = b"".join(frames.encode([frames.ITEM, number, value]) for number, value in enumerate(sent))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    splitter = FrameSplitter()
    parts = [stream[start:end] for start, end in itertools.pairwise([0, *cuts, len(stream)])]
    received = [frame for part in parts for frame in splitter.feed(part)]
    assert received == [[frames.ITEM, number, value] for number, value in enumerate(sent)]


def test_frames_arrive_whole_at_each_single_split() -> None:
    sent = [[frames.REPLY, 1, {"a": b"xyz"}], [frames.END, 2], [frames.ITEM, 70_000, "ü" * 40]]
    stream = b"".join(frames.encode(frame) for frame in sent)
    for cut in range(len(stream) + 1):
        splitter = FrameSplitter()
        assert [*splitter.feed(stream[:cut]), *splitter.feed(stream[cut:])] == sent


@given(st.binary(max_size=64))
def test_garbage_is_refused_or_waited_for_and_never_crashes_the_splitter(garbage: bytes) -> None:
    try:
        received = list(FrameSplitter().feed(garbage))
    except InvalidRequest:
        return
    assert all(isinstance(frame[0], int) for frame in received)


def test_a_frame_over_the_limit_is_refused_from_its_length_alone() -> None:
    with pytest.raises(InvalidRequest, match="limit is 10"):
        list(FrameSplitter(10).feed(struct.pack(">I", 11)))


@pytest.mark.parametrize("value", [object(), 2**64, "\ud800", {1, 2}])
def test_a_value_that_cannot_travel_is_refused_at_its_sender(value: object) -> None:
    with pytest.raises(InvalidRequest, match="cannot travel"):
        frames.encode([frames.REPLY, 1, value])


# --- calls -----------------------------------------------------------------------------------------------------------


@on_each_loop
async def test_every_kind_of_value_makes_the_round_trip(path: Path) -> None:
    kinds: list[object] = [
        None,
        True,
        -(2**63),
        2**64 - 1,
        1.5,
        "grün",
        b"\x00\xff",
        [1, [2]],
        {"a": {"b": []}, 7: "x"},
    ]
    async with connected(path, {"echo": echo}) as client:
        for value in kinds:
            assert await client.call("echo", value=value) == value


@on_each_loop
async def test_a_thousand_calls_at_once_each_get_their_own_answer(path: Path) -> None:
    async with connected(path, {"echo": echo}) as client:
        answers = await asyncio.gather(*(client.call("echo", value=number) for number in range(1000)))
    assert answers == list(range(1000))


@on_each_loop
async def test_large_values_at_once_wait_for_each_other_and_arrive(path: Path) -> None:
    async with connected(path, {"echo": echo}) as client:
        sent = [bytes([number]) * 300_000 for number in range(40)]
        assert await asyncio.gather(*(client.call("echo", value=value) for value in sent)) == sent


@on_each_loop
async def test_a_slow_call_does_not_hold_up_those_behind_it(path: Path) -> None:
    released = asyncio.Event()

    async def wait() -> str:
        await released.wait()
        return "slow"

    async def release() -> str:
        released.set()
        return "quick"

    async with connected(path, {"wait": wait, "release": release}) as client:
        slow = asyncio.ensure_future(client.call("wait"))
        assert await client.call("release") == "quick"
        assert await slow == "slow"


@on_each_loop
async def test_errors_of_handlers_arrive_as_what_they_were_and_defects_without_their_text(path: Path) -> None:
    async def fenced() -> None:
        raise Fenced("j", 3, 4)

    async def broken() -> None:
        raise RuntimeError("secret detail")

    async def cancelled() -> None:
        raise asyncio.CancelledError

    async with connected(path, {"fenced": fenced, "broken": broken, "cancelled": cancelled, "echo": echo}) as client:
        with pytest.raises(Fenced) as stale:
            await client.call("fenced")
        assert (stale.value.journal_id, stale.value.epoch, stale.value.current) == ("j", 3, 4)
        with pytest.raises(InternalError) as defect:
            await client.call("broken")
        assert "secret" not in str(defect.value)
        with pytest.raises(InternalError):
            await client.call("cancelled")
        with pytest.raises(InternalError):
            await client.call("echo", wrong=1)
        assert await client.call("echo", value=1) == 1


@on_each_loop
async def test_wrong_methods_and_values_that_cannot_travel_fail_their_own_call_only(path: Path) -> None:
    async def unsendable() -> object:
        return object()

    async def large() -> bytes:
        return bytes(2000)

    handlers: dict[str, Handler] = {"echo": echo, "unsendable": unsendable, "large": large, **Counter().handlers}
    async with connected(path, handlers, ServerLimits(max_frame_bytes=1000)) as client:
        for method, text in {"no": "no such", "stream": "mixed up", "unsendable": "travel", "large": "limit"}.items():
            with pytest.raises(InvalidRequest, match=text):
                await client.call(method)
        with pytest.raises(InvalidRequest, match="mixed up"):
            await anext(client.stream("echo", value=1))
        with pytest.raises(InvalidRequest, match="travel"):
            await client.call("echo", value=object())
        assert await client.call("echo", value=1) == 1


@on_each_loop
async def test_requests_beyond_the_bound_are_refused_and_served_again_later(path: Path) -> None:
    blocked = Blocked()
    async with connected(path, {"block": blocked.handle, "echo": echo}, ServerLimits(max_in_flight=1)) as client:
        first = asyncio.ensure_future(client.call("block"))
        await blocked.began.wait()
        with pytest.raises(Overloaded):
            await client.call("echo", value=1)
        first.cancel()
        await blocked.cancelled.wait()
        assert await client.call("echo", value=2) == 2


@on_each_loop
async def test_cancelling_the_caller_cancels_the_handler(path: Path) -> None:
    blocked = Blocked()
    async with connected(path, {"block": blocked.handle, "echo": echo}) as client:
        call = asyncio.ensure_future(client.call("block"))
        await blocked.began.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await blocked.cancelled.wait()
        assert await client.call("echo", value="still here") == "still here"


@on_each_loop
async def test_what_a_handler_shields_survives_the_cancel(path: Path) -> None:
    began, go, done = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def commit() -> None:
        began.set()
        await go.wait()
        done.set()

    async def append() -> None:
        await asyncio.shield(asyncio.ensure_future(commit()))

    async with connected(path, {"append": append}) as client:
        call = asyncio.ensure_future(client.call("append"))
        await began.wait()
        call.cancel()
        await client.close()
        go.set()
        await done.wait()


@on_each_loop
async def test_handlers_run_in_an_empty_context_of_their_own(path: Path) -> None:
    marker: contextvars.ContextVar[str] = contextvars.ContextVar("marker", default="absent")
    marker.set("of the one who started the server")

    async def swap() -> str:
        before = marker.get()
        marker.set("of another request")
        return before

    async with connected(path, {"swap": swap}) as client:
        assert [await client.call("swap"), await client.call("swap")] == ["absent", "absent"]


# --- the end of a connection -----------------------------------------------------------------------------------------


@on_each_loop
async def test_a_lost_server_fails_open_calls_and_streams_and_cancels_handlers(path: Path) -> None:
    blocked, counter = Blocked(), Counter()
    async with serving(path, {"block": blocked.handle, **counter.handlers}) as server:
        client = await ChannelClient.connect(f"unix:{path}", TOKEN, window=1)
        call = asyncio.ensure_future(client.call("block"))
        stream = client.stream("stream")
        assert await anext(stream) == 1
        await blocked.began.wait()
        await server.close()
        with pytest.raises(TransportLost) as lost:
            await call
        assert lost.value.address == f"unix:{path}"
        with pytest.raises(TransportLost):
            async for _ in stream:
                pass
        await client.closed.wait()
        with pytest.raises(TransportLost):
            await client.call("block")
        assert blocked.cancelled.is_set() and counter.stopped.is_set()
        assert mode_of(path) is None


@on_each_loop
async def test_a_lost_client_cancels_its_handlers_and_no_others(path: Path) -> None:
    first, second = Blocked(), Blocked()
    async with connected(path, {"first": first.handle, "second": second.handle}) as other:
        kept = asyncio.ensure_future(other.call("second"))
        leaving = await ChannelClient.connect(f"unix:{path}", TOKEN)
        call = asyncio.ensure_future(leaving.call("first"))
        await asyncio.gather(first.began.wait(), second.began.wait())
        await leaving.close()
        with pytest.raises(TransportLost):
            await call
        await first.cancelled.wait()
        assert not second.cancelled.is_set()
        kept.cancel()


@on_each_loop
async def test_nobody_at_the_address_is_a_lost_transport(path: Path) -> None:
    for address in (f"unix:{path}", "tcp:127.0.0.1:1"):
        with pytest.raises(TransportLost):
            await ChannelClient.connect(address, TOKEN)
    for address in ("unix:", "tcp:host", "http://x", f"unix:/{'x' * 200}"):
        with pytest.raises(InvalidConfig):
            await ChannelClient.connect(address, TOKEN)


@on_each_loop
async def test_connecting_to_a_server_that_never_welcomes_is_bounded(path: Path) -> None:
    accepted: list[asyncio.StreamWriter] = []
    server = await asyncio.start_unix_server(lambda _, writer: accepted.append(writer), path)
    with pytest.raises(TransportLost):
        await ChannelClient.connect(f"unix:{path}", TOKEN, timeout_s=0.05)
    server.close()
    for writer in accepted:
        writer.transport.abort()


@on_each_loop
async def test_a_silent_server_is_given_up_after_the_heartbeat(path: Path) -> None:
    async with silent_server(path):
        client = await ChannelClient.connect(f"unix:{path}", TOKEN, heartbeat=QUICK)
        with pytest.raises(TransportLost):
            await client.call("anything")
        await client.closed.wait()


@on_each_loop
async def test_a_silent_client_is_given_up_and_its_handlers_cancelled(path: Path) -> None:
    blocked = Blocked()
    async with serving(path, {"block": blocked.handle}, ServerLimits(heartbeat=QUICK)):
        silent = await Stranger.connect(path)
        silent.send([frames.REQUEST, 1, "block", {}])
        await blocked.cancelled.wait()
        await silent.close()


@on_each_loop
async def test_an_idle_peer_that_answers_pings_is_kept(path: Path) -> None:
    async with serving(path, {"echo": echo}, ServerLimits(heartbeat=QUICK)):
        idle = await Stranger.connect(path)
        for _ in range(QUICK.misses * 4):
            assert await idle.receive() == [frames.PING, 0]
            idle.send([frames.PONG, 0])
        idle.send([frames.REQUEST, 1, "echo", {"value": "here"}], [frames.PING, 0])
        answers = [await idle.receive(), await idle.receive(), await idle.receive()]
        assert [frames.REPLY, 1, "here"] in answers and [frames.PONG, 0] in answers
        await idle.close()


@on_each_loop
async def test_a_client_that_stops_reading_stalls_its_stream_and_is_then_cut_off(path: Path) -> None:
    counter = Counter(bytes(100_000))
    async with serving(path, counter.handlers, ServerLimits(heartbeat=QUICK)) as server:
        deaf = await Stranger.connect(path)
        deaf.send([frames.REQUEST, 1, "stream", {}, 1_000_000])
        await counter.stopped.wait()
        assert counter.produced < 100
        assert server.connections == 0
        await deaf.close()


# --- strangers -------------------------------------------------------------------------------------------------------


@on_each_loop
async def test_a_wrong_token_is_refused_and_neither_token_is_told(path: Path) -> None:
    with LogOfChannels() as seen:
        async with serving(path, {"echo": echo}):
            with pytest.raises(Unauthorized) as refused:
                await ChannelClient.connect(f"unix:{path}", "a-wrong-guess")
    told = [*seen, str(refused.value), repr(refused.value)]
    assert seen and not any(TOKEN in text or "a-wrong-guess" in text for text in told)


@on_each_loop
async def test_whoever_does_not_begin_with_a_hello_is_refused(path: Path) -> None:
    async with serving(path, {"echo": echo}):
        openings = [
            frames.encode([frames.REQUEST, 1, "echo", {"value": 1}]),
            frames.encode([frames.HELLO, 0, frames.PROTOCOL_VERSION, "\u00fc"]),
            frames.encode([frames.HELLO, 0, frames.PROTOCOL_VERSION + 1, TOKEN]),
            struct.pack(">I", frames.MAX_HELLO_BYTES + 1),
            b"GET / HTTP/1.1\r\n\r\n",
        ]
        for opening in openings:
            stranger = await Stranger.connect(path, hello=False)
            stranger.send_bytes(opening)
            assert (await stranger.receive())[:2] == [frames.ERROR, 0]
            assert await stranger.is_hung_up()
            await stranger.close()


@on_each_loop
async def test_whoever_does_not_show_the_token_in_time_is_cut_off(path: Path) -> None:
    async with serving(path, {}, ServerLimits(hello_timeout_s=0.01)):
        mute = await Stranger.connect(path, hello=False)
        assert (await mute.receive())[2]["type"] == "Unauthorized"
        assert await mute.is_hung_up()
        await mute.close()


@on_each_loop
async def test_a_peer_that_breaks_the_protocol_is_told_and_cut_off_while_others_go_on(path: Path) -> None:
    breaches = [
        struct.pack(">I", frames.MAX_FRAME_BYTES + 1),
        frames.encode([frames.REQUEST, 1, "echo", "no arguments"]),
        frames.encode([frames.REQUEST, 1, "stream", {}, 0]),
        frames.encode([frames.REQUEST, 0, "echo", {}]),
        frames.encode([frames.CREDIT, 1, -5]),
        frames.encode([99, 1]),
        struct.pack(">I", 3) + b"\xc1\xc1\xc1",
        struct.pack(">I", 0),
    ]
    async with connected(path, {"echo": echo, **Counter().handlers}) as good:
        for breach in breaches:
            bad = await Stranger.connect(path)
            bad.send_bytes(breach)
            answer = await bad.receive()
            assert answer[:2] == [frames.ERROR, 0] and answer[2]["type"] == "InvalidRequest"
            assert await bad.is_hung_up()
            await bad.close()
        assert await good.call("echo", value=1) == 1


@on_each_loop
async def test_connections_beyond_the_bound_are_refused_as_overload(path: Path) -> None:
    async with connected(path, {"echo": echo}, ServerLimits(max_connections=1)) as first:
        with pytest.raises(Overloaded):
            await ChannelClient.connect(f"unix:{path}", TOKEN)
        assert await first.call("echo", value=1) == 1


@on_each_loop
async def test_strangers_take_only_a_part_of_the_connections(path: Path) -> None:
    limits = ServerLimits(max_connections=4, max_strangers=1)
    async with connected(path, {"echo": echo}, limits) as known:
        other = await ChannelClient.connect(f"unix:{path}", TOKEN)
        mute = await Stranger.connect(path, hello=False)
        second = await Stranger.connect(path, hello=False)
        assert (await second.receive())[2]["type"] == "Overloaded"
        assert [await one.call("echo", value=1) for one in (known, other)] == [1, 1]
        for end in (mute, second, other):
            await end.close()


# --- streams ---------------------------------------------------------------------------------------------------------


@on_each_loop
async def test_a_stream_delivers_all_items_in_order_and_ends(path: Path) -> None:
    async def numbers(upto: int) -> AsyncIterator[int]:
        for number in range(upto):
            yield number

    async with connected(path, {"numbers": numbers}) as client:
        for upto in (0, 1, 64, 1000):
            stream = client.stream("numbers", upto=upto)
            assert [item async for item in stream] == list(range(upto))
            with pytest.raises(StopAsyncIteration):
                await anext(stream)


@on_each_loop
async def test_the_producer_of_a_stream_stops_at_the_readers_credit(path: Path) -> None:
    counter = Counter()
    async with connected(path, counter.handlers, window=4) as client:
        async with aclosing(client.stream("stream")) as stream:
            assert await anext(stream) == 1
            assert await client.call("count") == 4
            assert await client.call("count") == 4
            assert await anext(stream) == 2
            assert await client.call("count") == 6
            assert [await anext(stream) for _ in range(20)] == list(range(3, 23))
            assert await client.call("count") == 26


@on_each_loop
async def test_closing_or_dropping_a_stream_stops_its_producer(path: Path) -> None:
    closed, dropped = Counter(), Counter()
    async with connected(path, {"closed": closed.stream, "dropped": dropped.stream, "echo": echo}) as client:
        stream = client.stream("closed")
        assert await anext(stream) == 1
        await stream.aclose()
        await closed.stopped.wait()
        assert [item async for item in stream] == []
        stream = client.stream("dropped")
        assert await anext(stream) == 1
        del stream
        await dropped.stopped.wait()
        assert await client.call("echo", value=1) == 1


@on_each_loop
async def test_an_error_in_a_stream_comes_after_the_items_before_it(path: Path) -> None:
    async def failing() -> AsyncIterator[int]:
        yield 1
        yield 2
        raise Fenced("j", 1, 2)

    async with connected(path, {"failing": failing}) as client:
        stream = client.stream("failing")
        assert [await anext(stream), await anext(stream)] == [1, 2]
        with pytest.raises(Fenced):
            await anext(stream)
        with pytest.raises(StopAsyncIteration):
            await anext(stream)


@on_each_loop
async def test_a_reader_that_waits_gets_the_end_when_another_task_closes_the_stream(path: Path) -> None:
    waiting, stopped = asyncio.Event(), asyncio.Event()

    async def quiet() -> AsyncIterator[int]:
        try:
            waiting.set()
            await asyncio.Event().wait()
            yield 1
        finally:
            stopped.set()

    async with connected(path, {"quiet": quiet}) as client:
        stream = client.stream("quiet")
        reader = asyncio.ensure_future(anext(stream, "the end"))
        await waiting.wait()
        with pytest.raises(RuntimeError):
            await anext(stream)
        await stream.aclose()
        assert await reader == "the end"
        await stopped.wait()


@on_each_loop
async def test_a_server_that_sends_more_than_it_has_credit_for_is_hung_up_on(path: Path) -> None:
    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = Stranger(reader, writer)
        await peer.receive()
        peer.send([frames.WELCOME, 0, frames.PROTOCOL_VERSION])
        request = await peer.receive()
        peer.send(*([frames.ITEM, request[1], number] for number in range(3)))
        await reader.read()
        await peer.close()

    server = await asyncio.start_unix_server(flood, path)
    client = await ChannelClient.connect(f"unix:{path}", TOKEN, window=2)
    with pytest.raises(TransportLost):
        async for _ in client.stream("flood"):
            await client.closed.wait()
    server.close()


# --- addresses -------------------------------------------------------------------------------------------------------


@on_each_loop
async def test_the_same_methods_answer_over_tcp(path: Path) -> None:
    server = ChannelServer({"echo": echo}, TOKEN)
    address = await server.start_tcp("127.0.0.1")
    client = await ChannelClient.connect(address, TOKEN)
    assert address.startswith("tcp:127.0.0.1:") and not address.endswith(":0")
    assert await client.call("echo", value=[1]) == [1]
    await client.close()
    await server.close()


@on_each_loop
async def test_only_the_owner_may_open_the_socket(path: Path) -> None:
    async with serving(path, {"echo": echo}):
        assert mode_of(path) == 0o600


@pytest.fixture
def short_root(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A runtime directory whose path leaves room for sockets; pytest's own are too deep for that."""
    with tempfile.TemporaryDirectory(prefix="gr-", dir="/tmp") as made:
        monkeypatch.setenv("XDG_RUNTIME_DIR", made)
        yield Path(made)


def test_the_socket_directory_is_private_short_and_the_same_each_time(short_root: Path) -> None:
    made = socket_directory("../some runtime/" + "x" * 300)
    assert made.parent == short_root and mode_of(made) == 0o700
    assert socket_directory("../some runtime/" + "x" * 300) == made != socket_directory("another")


def test_a_socket_directory_that_others_can_use_is_refused(short_root: Path) -> None:
    made = socket_directory("r")
    made.chmod(0o755)
    with pytest.raises(InvalidConfig, match="0700"):
        socket_directory("r")
    made.rmdir()
    (short_root / "elsewhere").mkdir(mode=0o700)
    made.symlink_to(short_root / "elsewhere")
    with pytest.raises(InvalidConfig, match="0700"):
        socket_directory("r")


def test_a_socket_directory_of_somebody_else_is_refused(short_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = os.geteuid()
    made = socket_directory("r")
    monkeypatch.setattr(os, "geteuid", lambda: own + 1)
    made.rename(short_root / made.name.replace(f"-{own}-", f"-{own + 1}-"))
    with pytest.raises(InvalidConfig, match="of your own"):
        socket_directory("r")


def test_a_runtime_directory_that_is_missing_or_too_deep_is_passed_over(
    short_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(short_root))
    deep = short_root / ("x" * 60)
    deep.mkdir()
    for unusable in (short_root / "missing", deep):
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(unusable))
        assert socket_directory("r").parent == short_root


def test_a_server_refuses_plain_functions_and_an_empty_token() -> None:
    def plain() -> Awaitable[object]:
        raise NotImplementedError

    with pytest.raises(TypeError, match="plain"):
        ChannelServer({"plain": plain}, TOKEN)
    with pytest.raises(ValueError, match="token"):
        ChannelServer({}, "")


# --- links -----------------------------------------------------------------------------------------------------------


@on_each_loop
async def test_a_link_finds_a_server_again_that_came_back_elsewhere(path: Path) -> None:
    places = [path, path.with_name("t")]
    asked: list[str] = []

    async def resolve() -> str:
        asked.append(f"unix:{places[len(asked)]}")
        return asked[-1]

    blocked = Blocked()
    link = Link(resolve, TOKEN)
    async with serving(places[0], {"echo": echo, "block": blocked.handle}):
        assert await asyncio.gather(*(link.call("echo", value=number) for number in range(10))) == list(range(10))
        assert len(asked) == 1
        interrupted = asyncio.ensure_future(link.call("block"))
        await blocked.began.wait()
    with pytest.raises(TransportLost):
        await interrupted
    counter = Counter()
    async with serving(places[1], {"echo": echo, **counter.handlers}):
        assert await asyncio.gather(*(link.call("echo", value=number) for number in range(10))) == list(range(10))
        async with aclosing(link.stream("stream")) as stream:
            assert await anext(stream) == 1
        assert len(asked) == 2
        await link.close()
    with pytest.raises(TransportLost):
        await link.call("echo", value=1)


@on_each_loop
async def test_a_stream_of_a_link_connects_by_itself(path: Path) -> None:
    async with serving(path, Counter().handlers):
        link = Link(lambda: asyncio.sleep(0, f"unix:{path}"), TOKEN)
        async with aclosing(link.stream("stream")) as stream:
            assert [await anext(stream), await anext(stream)] == [1, 2]
        await link.close()


@on_each_loop
async def test_a_caller_that_gives_up_does_not_spoil_the_connecting_of_others(path: Path) -> None:
    asked, go = asyncio.Event(), asyncio.Event()

    async def resolve() -> str:
        asked.set()
        await go.wait()
        return f"unix:{path}"

    async with serving(path, {"echo": echo}):
        link = Link(resolve, TOKEN)
        first = asyncio.ensure_future(link.call("echo", value=1))
        second = asyncio.ensure_future(link.call("echo", value=2))
        await asked.wait()
        first.cancel()
        go.set()
        assert await second == 2
        with pytest.raises(asyncio.CancelledError):
            await first
        await link.close()


@on_each_loop
async def test_a_link_says_what_resolving_failed_with_and_tries_again_at_the_next_call(path: Path) -> None:
    answers = iter([None, "never", f"unix:{path}"])

    async def resolve() -> str:
        answer = next(answers)
        if answer is None:
            raise Overloaded("sessions")
        if answer == "never":
            await asyncio.Event().wait()
        return answer

    async with serving(path, {"echo": echo}):
        link = Link(resolve, TOKEN, timeout_s=0.2)
        with pytest.raises(Overloaded):
            await link.call("echo", value=1)
        with pytest.raises(TransportLost):
            await link.call("echo", value=1)
        assert await link.call("echo", value=1) == 1
        await link.close()


@on_each_loop
async def test_closing_a_link_that_is_connecting_fails_its_callers(path: Path) -> None:
    asked = asyncio.Event()

    async def resolve() -> str:
        asked.set()
        await asyncio.Event().wait()
        return str(path)

    link = Link(resolve, TOKEN)
    call = asyncio.ensure_future(link.call("echo", value=1))
    await asked.wait()
    await link.close()
    with pytest.raises(TransportLost):
        await call
