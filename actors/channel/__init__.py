"""The data plane: a small RPC over Unix sockets and TCP, the boundary between actors in different processes.

Ray starts, names and supervises actors; their hot traffic goes through here. Values are what msgpack carries: None,
bool, int, float, str, bytes, list and dict. There is no Ray in it, and no global state.
"""

from actors.channel.addresses import MAX_UNIX_PATH_BYTES, socket_directory
from actors.channel.client import CONNECT_TIMEOUT_S, ChannelClient
from actors.channel.connection import HEARTBEAT_S, LOST_AFTER_S, Heartbeat
from actors.channel.frames import MAX_FRAME_BYTES, PROTOCOL_VERSION, FrameSplitter
from actors.channel.link import Link
from actors.channel.peer import MAX_CONNECTIONS, MAX_IN_FLIGHT, Handler, ServerLimits
from actors.channel.server import ChannelServer
from actors.channel.stream import STREAM_WINDOW, ChannelStream
from actors.channel.sweeping import remove_sockets, sweep_sockets

__all__ = [
    "CONNECT_TIMEOUT_S",
    "HEARTBEAT_S",
    "LOST_AFTER_S",
    "MAX_CONNECTIONS",
    "MAX_FRAME_BYTES",
    "MAX_IN_FLIGHT",
    "MAX_UNIX_PATH_BYTES",
    "PROTOCOL_VERSION",
    "STREAM_WINDOW",
    "ChannelClient",
    "ChannelServer",
    "ChannelStream",
    "FrameSplitter",
    "Handler",
    "Heartbeat",
    "Link",
    "ServerLimits",
    "remove_sockets",
    "socket_directory",
    "sweep_sockets",
]
