"""The command line: one file a command, thin. Results go to stdout, logs to stderr.

Exit status: 0 done, 1 failed at run time, 2 wrong usage (values of options, too), 78 bad
configuration, 130 interrupted (`serve`, `tail` and `board` end that way, with 0).
"""

import typer

from service import __version__
from service.cli import (
    board,
    check_config,
    demo,
    explain,
    parse,
    replay,
    schema,
    serve,
    spool,
    tail,
)
from service.core import assemble

app = typer.Typer(
    name="mailfault",
    help="Receives Postfix logs over syslog and publishes every failed mail as an event on NATS.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


def _show_version(wanted: bool) -> None:
    if wanted:
        compiled = "" if assemble.__file__.endswith(".py") else " (core compiled)"
        typer.echo(f"mailfault {__version__}{compiled}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(
        False, "--version", help="Show the version and exit.", callback=_show_version, is_eager=True
    ),
) -> None:
    pass


app.command("serve")(serve.serve)
app.command("parse")(parse.parse)
app.command("replay")(replay.replay)
app.command("explain")(explain.explain)
app.command("tail")(tail.tail)
app.command("board")(board.board)
app.command("schema")(schema.schema)
app.command("demo")(demo.demo)
app.add_typer(spool.app, name="spool")
app.command("check-config")(check_config.check_config)
