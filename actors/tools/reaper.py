"""Boundary between a tool host and one command: sees to it that nothing of the command outlives its host.

A script of its own, run by path without ``site`` and with as few imports as possible: it is up in 10 ms. It forks once,
so that it is no child of the host, and whoever kills the host's children does not kill it. Then it starts the command
in a session and process group of its own, adopts every process that the command orphans, and waits. When the command
ends, when its stdin says so, or when its stdin closes because the host is gone, all that is left of the command is
terminated, then killed. The command's process tells its own id before it becomes the command: a command can kill its
reaper, but not before the host knows what to kill then.

    reaper.py DIRECTORY GRACE_MS PIPES PROGRAM ARGUMENT...

    PIPES     "-", or "A:B": the descriptors that the command gets as its stdin and its stderr
    stdin     the host keeps it open; any byte, or the end, means: stop
    stdout    goes to the command, as its stdout, and without PIPES also as its stderr
    stderr    "reaper N", its own id, and "pid N", the command's; "error REASON" when it did not start; last,
              "exit CODE" when nothing of the command is left
"""

from __future__ import annotations

import os
import select
import sys
import time

_TERM, _KILL, _PIPE, _FILE_SIZE = 15, 9, 13, 25
_IGNORED = (1, 2, 3, _TERM)
"""Hang-up, interrupt, quit and terminate are meant for the host; the reaper ends when its work is done."""

_PR_SET_CHILD_SUBREAPER = 36

_DEAD = (b"Z", b"X")

_TICK_MS = 5
"""How often dying processes are looked at again."""

_KILL_S = 5.0
"""After that long, what survives SIGKILL hangs in the kernel, and waiting does not help."""

_NOT_STARTED = 127
"""The exit code of what never became the command, as of a shell that finds no such program."""

_signals = __import__("_signal")
"""The C module below `signal`, whose Python face costs a third of the start."""


def main(arguments: list[str]) -> None:
    """Run the command in ``arguments``; returns when nothing of it is left."""
    if os.fork():
        os._exit(0)
    directory, grace_ms, pipes, *command = arguments
    _prepare()
    _say(f"reaper {os.getpid()}")
    streams = () if pipes == "-" else tuple(map(int, pipes.split(":")))
    leader = os.fork()
    if not leader:
        _become(command, directory, streams)
    # The command alone holds its input and its errors.
    for descriptor in streams:
        os.close(descriptor)
    # Only the command holds its output open: the host reads to the end of it.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    ended = _wait(leader)
    code = _finish(leader, int(grace_ms) / 1000, ended=ended)
    _say(f"exit {code}")


def _prepare() -> None:
    for number in _IGNORED:
        _signals.signal(number, _signals.SIG_IGN)
    os.setsid()
    _adopt_orphans()


def _adopt_orphans() -> None:
    arguments = (_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        # The C module below `ctypes`, for the same reason.
        raw = __import__("_ctypes")
        raw.call_function(raw.dlsym(raw.dlopen(None, 0), "prctl"), arguments)
    except (ImportError, AttributeError):
        import ctypes

        ctypes.CDLL(None).prctl(*arguments)


def _become(command: list[str], directory: str, streams: tuple[int, ...]) -> None:
    """In a process of its own: tell its id, and run the command in its place; does not return."""
    report = os.dup(2)
    try:
        os.setsid()
        os.write(report, f"pid {os.getpid()}\n".encode())
        os.chdir(directory)
        given, errors = streams or (os.open(os.devnull, os.O_RDONLY), 1)
        os.dup2(given, 0)
        os.dup2(errors, 2)
        for descriptor in streams:
            os.close(descriptor)
        for number in (*_IGNORED, _PIPE, _FILE_SIZE):
            _signals.signal(number, _signals.SIG_DFL)
        _signals.pthread_sigmask(_signals.SIG_SETMASK, ())
        os.execvpe(command[0], command, os.environ)
    except OSError as error:
        os.write(report, f"error {error.strerror}\n".encode())
    finally:
        os._exit(_NOT_STARTED)


def _wait(leader: int) -> bool:
    """Wait for the command or the host's word; tells whether it was the command."""
    handle = os.pidfd_open(leader)
    poller = select.poll()
    poller.register(0, select.POLLIN)
    poller.register(handle, select.POLLIN)
    ready = {number for number, _ in poller.poll()}
    os.close(handle)
    return handle in ready


def _finish(leader: int, grace_s: float, *, ended: bool) -> int:
    """End what is left; returns the command's exit code, 128 + N when signal N ended it."""
    codes: dict[int, int] = {}
    if ended:
        _, codes[leader] = os.waitpid(leader, 0)
    if _reap(codes):
        now = time.monotonic()
        _signal_all(leader, _TERM)
        _until_gone(codes, now + grace_s)
        while _reap(codes) and time.monotonic() < now + grace_s + _KILL_S:
            _signal_all(leader, _KILL)
            _pause()
    status = codes.get(leader)
    if status is None:
        return 128 + _KILL
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _reap(codes: dict[int, int]) -> bool:
    """Collect the dead; tells whether any child is left. Orphans of children become children."""
    while True:
        try:
            child, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return False
        if not child:
            return True
        codes[child] = status


def _until_gone(codes: dict[int, int], deadline: float) -> None:
    while _reap(codes) and time.monotonic() < deadline:
        _pause()


def _pause() -> None:
    select.poll().poll(_TICK_MS)


def _signal_all(leader: int, number: int) -> None:
    found = descendants(os.getpid())
    # A group's number is free for others once it is empty, so it is used only while a descendant is in it.
    targets = [pid for pid, group in found.items() if group != leader]
    if leader in found.values():
        targets.append(-leader)
    for target in targets:
        try:
            os.kill(target, number)
        except ProcessLookupError:
            pass


def descendants(ancestor: int) -> dict[int, int]:
    """Process group of each living descendant of a process."""
    children: dict[int, list[tuple[int, int]]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            status = status_of(name)
            if status is not None and status.state not in _DEAD:
                children.setdefault(status.parent, []).append((int(name), status.group))
    found: dict[int, int] = {}
    todo = [ancestor]
    while todo:
        for pid, group in children.get(todo.pop(), ()):
            found[pid] = group
            todo.append(pid)
    return found


class Status:
    """What the kernel tells of a process: the letter of its state, its parent, its process group."""

    def __init__(self, state: bytes, parent: int, group: int) -> None:
        self.state, self.parent, self.group = state, parent, group


def status_of(name: str) -> Status | None:
    """The status of a process, whose id is ``name``; None when there is none."""
    try:
        with open(f"/proc/{name}/stat", "rb") as file:
            line = file.read()
    except OSError:
        return None
    # The program's name stands in parentheses and may itself hold spaces and parentheses.
    state, parent, group = line[line.rindex(b")") + 2 :].split(b" ", 3)[:3]
    return Status(state, int(parent), int(group))


def _say(text: str) -> None:
    try:
        os.write(2, f"{text}\n".encode())
    except BrokenPipeError:
        pass


if __name__ == "__main__":
    main(sys.argv[1:])
