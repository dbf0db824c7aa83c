"""A PostgreSQL server that the tests start themselves, and a fresh schema for whoever asks.

The binaries are looked for on the PATH and where Debian puts them. The server refuses to run as root, so that then it
runs as ``nobody``. Where there is none, the tests that need one are skipped and say so.
"""

from __future__ import annotations

import importlib.util
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Generator, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

if TYPE_CHECKING:
    import psycopg

PASSWORD = "s3cret:p@ss/w%rd"
"""Of the tests' user; it has every character that has to be quoted in a URL, and must not turn up anywhere."""

HAS_DRIVER = importlib.util.find_spec("psycopg") is not None

_FAST = ("fsync=off", "full_page_writes=off", "shared_buffers=32MB", "max_connections=100", "autovacuum=off")
"""What is tested is not what the disk does."""


def _binaries() -> Path | None:
    found = shutil.which("initdb")
    if found is not None:
        return Path(found).resolve().parent
    return max(Path("/usr/lib/postgresql").glob("*/bin"), default=None, key=lambda path: path.parent.name)


_UNDERTAKER = """
cat > /dev/null
pid=$(head -n 1 "$0/data/postmaster.pid") && kill -QUIT "$pid" && while kill -0 "$pid"; do sleep 0.1; done
rm -rf "$0"
"""
"""Ends a server and removes what it kept when the pipe to its tests closes: also when those were killed."""


class PostgresServer:
    """A server of our own, reached over TCP on this machine.

    Args:
        binaries: Where its programs are.
        directory: What it keeps; removed by ``remove``.
    """

    def __init__(self, binaries: Path, directory: Path) -> None:
        self._binaries = binaries
        self._directory = directory
        self._data = directory / "data"
        undertaker = ["sh", "-c", _UNDERTAKER, str(directory)]
        self._undertaker = subprocess.Popen(
            undertaker, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
        )
        self._user: dict[str, Any] = {}
        if os.getuid() == 0:
            self._user = {"user": "nobody", "group": "nogroup", "extra_groups": []}
            shutil.chown(directory, "nobody", "nogroup")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        words = directory / "password"
        words.write_text(PASSWORD, encoding="utf-8")
        words.chmod(0o644)
        own = ("-U", "app", "-A", "scram-sha-256", f"--pwfile={words}", "-E", "UTF8", "--locale=C.UTF-8", "-N")
        self._run("initdb", "-D", str(self._data), *own)

    def _run(self, program: str, *args: str) -> None:
        environment = {"HOME": "/tmp", "LC_ALL": "C.UTF-8", "TZ": "UTC", "PATH": os.environ["PATH"]}
        command = [str(self._binaries / program), *args]
        run = partial(subprocess.run, env=environment, cwd="/", stdin=subprocess.DEVNULL, capture_output=True)
        done = run(command, text=True, check=False, **self._user)
        assert done.returncode == 0, f"{program}: {done.stdout[-500:]}{done.stderr[-500:]}"

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        options = f"-p {self.port} -k '' -c listen_addresses=127.0.0.1 " + " ".join(f"-c {one}" for one in _FAST)
        log = ("-l", str(self._directory / "log"))
        self._run("pg_ctl", "-D", str(self._data), "-w", "-t", "60", *log, "-o", options, "start")

    def kill(self) -> None:
        """Kill -9 of every process of it."""
        pid = int((self._data / "postmaster.pid").read_text(encoding="ascii").split("\n", 1)[0])
        own = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]
        for one in (pid, *own):
            with suppress(ProcessLookupError):
                os.kill(one, signal.SIGKILL)

    def start_again(self) -> None:
        """Start it after a kill, as soon as nothing of the killed one holds its memory any more."""
        for attempt in range(50):
            try:
                return self.start()
            except AssertionError:
                if attempt == 49:
                    raise
        return None

    def remove(self) -> None:
        """End it and remove what it kept."""
        self._undertaker.communicate()

    def url(
        self,
        schema: str | None = None,
        *,
        user: str = "app",
        password: str = PASSWORD,
        port: int | None = None,
        **options: str,
    ) -> str:
        """A URL of its database, or of one schema in it."""
        query = dict(options)
        if schema is not None:
            query["options"] = f"-csearch_path={schema}"
        given = "&".join(f"{name}={quote(value)}" for name, value in query.items())
        return f"postgresql://{user}:{quote(password, safe='')}@127.0.0.1:{port or self.port}/postgres?{given}"

    def connect(self, schema: str = "public") -> psycopg.Connection[Any]:
        """A connection for the test's own questions and mischief; each statement is a transaction."""
        import psycopg

        return psycopg.connect(self.url(schema), autocommit=True)

    def fresh(self) -> str:
        """The name of a new, empty schema."""
        name = f"s_{secrets.token_hex(4)}"
        with self.connect() as connection:
            connection.execute(f"CREATE SCHEMA {name}".encode())
        return name


def started_server() -> Generator[PostgresServer]:
    """A server for as long as the generator is not closed; skips the test when there is none."""
    if not HAS_DRIVER:
        pytest.skip("PostgreSQL's driver is not installed here (make sets it up)")
    binaries = _binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL server is installed here (apt-get install postgresql)")
    # The directories of pytest are closed to the server's user.
    server = PostgresServer(binaries, Path(tempfile.mkdtemp(prefix="greenroom-pg-")))
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One server for all tests of a process. Those that stop it start it again."""
    yield from started_server()
