"""The command ``greenroom``: between a terminal and the service. What a command needs is imported when it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from actors.errors import GreenroomError

if TYPE_CHECKING:
    from serve_app.client import ServiceClient

DEFAULT_URL = "http://127.0.0.1:8000"


class _Group(TyperGroup):
    """Turns errors of ours into one sentence on stderr and exit code 1."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except GreenroomError as error:
            from serve_app.terminal import say_error

            say_error(error.message)
            raise typer.Exit(1) from None


app = typer.Typer(
    cls=_Group,
    name="greenroom",
    help="Sessions of language model agents: long-lived, durable, addressed by id.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

UrlOption = Annotated[str, typer.Option("--url", envvar="GREENROOM_URL", help="Address of the service.")]
KeyOption = Annotated[
    str | None, typer.Option("--api-key", envvar="GREENROOM_API_KEY", show_envvar=True, help="Key of the service.")
]
StoreOption = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="Database in place of that directory: postgresql://user@host/db. With a password in it, set "
        "GREENROOM_STORE_URL instead: everybody on this machine can read a command line.",
    ),
]
SessionArgument = Annotated[str, typer.Argument(metavar="ID", help="Id of the session.")]


def _client(url: str, key: str | None) -> ServiceClient:
    from serve_app.client import ServiceClient

    return ServiceClient(url, key)


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on [default: 127.0.0.1].")] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="Port to listen on [default: 8000].")] = None,
    data_dir: Annotated[str | None, typer.Option(help="Directory of the database.")] = None,
    store: StoreOption = None,
    model: Annotated[str | None, typer.Option(help="Default model, as provider/model.")] = None,
) -> None:
    """Start the service on this machine and run until Ctrl-C."""
    from serve_app.cli_serve import serve as run

    given = {"host": host, "port": port, "data_dir": data_dir, "store_url": store, "model": model}
    run({name: value for name, value in given.items() if value is not None})


@app.command()
def chat(
    session: Annotated[str | None, typer.Argument(metavar="[ID]", help="Session to go on with.")] = None,
    model: Annotated[str | None, typer.Option(help="Model of a new session, as provider/model.")] = None,
    local: Annotated[bool, typer.Option("--local", help="Without a service: all in this process, in memory.")] = False,
    url: UrlOption = DEFAULT_URL,
    api_key: KeyOption = None,
) -> None:
    """Talk to a session; a new one when ID is left out or unknown.

    Answers stream as they come, and tools ask for approval. Ctrl-C interrupts a turn; /quit or Ctrl-D leaves.
    """
    from serve_app.cli_chat import Chat, pick_session

    if local:
        from serve_app.embedded import embedded_service

        with embedded_service(model) as client:
            Chat(client, pick_session(client, session, None)).run()
        return
    with _client(url, api_key) as client:
        Chat(client, pick_session(client, session, model)).run()


@app.command()
def ps(
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Sessions to show.")] = 50,
    url: UrlOption = DEFAULT_URL,
    api_key: KeyOption = None,
) -> None:
    """List sessions, those used last first."""
    from serve_app.terminal import show_sessions

    with _client(url, api_key) as client:
        page = client.call("GET", "/v1/sessions", params={"limit": limit})
    show_sessions(page)


@app.command()
def show(session: SessionArgument, url: UrlOption = DEFAULT_URL, api_key: KeyOption = None) -> None:
    """Show one session: how it stands, what it waits for, its conversation."""
    from serve_app.client import session_path
    from serve_app.terminal import show_session

    with _client(url, api_key) as client:
        info = client.call("GET", session_path(session))
        context = client.call("GET", session_path(session, "/context"))
        actions = client.call("GET", session_path(session, "/actions"))
        messages = client.call("GET", session_path(session, "/messages"))
    show_session(info, context, actions["items"], messages["items"])


@app.command()
def events(
    session: SessionArgument,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what happens.")] = False,
    after: Annotated[int, typer.Option(min=0, help="Only events after this one.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    url: UrlOption = DEFAULT_URL,
    api_key: KeyOption = None,
) -> None:
    """Show the events of a session."""
    from serve_app.cli_events import show_events

    with _client(url, api_key) as client:
        show_events(client, session, after=after, follow=follow, as_json=as_json)


@app.command()
def destroy(session: SessionArgument, url: UrlOption = DEFAULT_URL, api_key: KeyOption = None) -> None:
    """Destroy a session and everything it remembers. This cannot be undone."""
    from serve_app.client import session_path
    from serve_app.terminal import say

    with _client(url, api_key) as client:
        done = client.call("DELETE", session_path(session))
    say(f"Session {session!r} is destroyed." if done["changed"] else f"There was no session {session!r}.")


@app.command()
def export(
    session: SessionArgument,
    file: Annotated[str | None, typer.Argument(help="A new file; standard output when absent.")] = None,
    url: UrlOption = DEFAULT_URL,
    api_key: KeyOption = None,
) -> None:
    """Write a session as one JSON document, which import takes. It holds no key."""
    from serve_app.cli_archives import export_to

    with _client(url, api_key) as client:
        export_to(client, session, file)


@app.command(name="import")
def import_(
    files: Annotated[list[str], typer.Argument(help="Exported sessions, or session files of A3S Code.")],
    session_id: Annotated[
        str | None, typer.Option("--id", help="The session's id; the document's when absent.")
    ] = None,
    url: UrlOption = DEFAULT_URL,
    api_key: KeyOption = None,
) -> None:
    """Create sessions from documents, one from each file."""
    from serve_app.cli_archives import import_all

    with _client(url, api_key) as client:
        done = import_all(client, files, session_id)
    if not done:
        raise typer.Exit(1)


DataDirOption = Annotated[str | None, typer.Option("--data-dir", help="Directory of the database.")]


@app.command()
def backup(
    file: Annotated[str, typer.Argument(metavar="FILE", help="The file to make.")], data_dir: DataDirOption = None
) -> None:
    """Copy the database into one file, as it is at this moment; the service may go on working."""
    from serve_app.cli_store import back_up_to

    back_up_to(file, data_dir)


@app.command()
def restore(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A backup.")],
    data_dir: DataDirOption = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace a database that is there; it is kept beside.")
    ] = False,
) -> None:
    """Make the database from a backup. What happened since then is undone; the service must not be running."""
    from serve_app.cli_store import restore_from

    restore_from(file, data_dir, force=force)


@app.command()
def verify(
    file: Annotated[
        str | None, typer.Argument(metavar="[FILE]", help="A backup, or the directory of a database.")
    ] = None,
    data_dir: DataDirOption = None,
) -> None:
    """Read a whole database, also one in use, and say what is wrong with it; exit code 1 when something is."""
    from serve_app.cli_store import verify_all

    if not verify_all(file, data_dir):
        raise typer.Exit(1)


@app.command()
def version() -> None:
    """Print the version."""
    from serve_app.terminal import say
    from serve_app.version import version as installed

    say(f"greenroom {installed()}")


def main() -> None:
    """Run the command."""
    app()
