"""A process that opens a store, appends until it is killed, and says on its output what was acknowledged."""

from __future__ import annotations

import sys

from actors.domain.journal import Appended
from actors.errors import GreenroomError
from actors.storage.open import open_backend
from tests.unit.storage.samples import born, part


def say(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def main(directory: str) -> None:
    try:
        backend = open_backend(directory)
    except GreenroomError as error:
        say("refused", error.code)
        return
    born(backend, "s")
    head = 1
    while True:
        (answer,) = backend.append([part("s", head, command=f"c{head}", blobs={f"{head:064}": b"x" * 5000})])
        assert isinstance(answer, Appended)
        head = answer.head_seq
        say("acknowledged", head)


if __name__ == "__main__":
    main(sys.argv[1])
