"""The command that tells people and programs what happened. It loads no TensorFlow."""

from pathlib import Path
from typing import Annotated

import typer

from optbench.cli.options import DEFAULT_STORAGE, StorageUrl, app, opened
from optbench.cli.output import console
from optbench.errors import counted
from optbench.exits import ExitCode, after_signal
from optbench.worker.stop import Stop


@app.command()
def notify(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A TOML file that names the receivers.")],
    storage: StorageUrl = DEFAULT_STORAGE,
    once: Annotated[bool, typer.Option("--once", help="Send what is new, and end.")] = False,
) -> None:
    """Send webhooks, chat messages or mail about what happens. Example: optbench notify receivers.toml"""
    from optbench.service.notify import EventSender
    from optbench.service.receivers import read_receivers

    receivers = read_receivers(file)
    with opened(storage) as storage_, Stop() as stop:
        sender = EventSender(storage_, receivers)
        if once:
            sent = counted(sender.look(), "event")
            failed = [receiver.name for receiver in receivers if receiver.failed]
            missed = f"; {', '.join(failed)} did not take all: the next run tries again" if failed else ""
            console.print(f"{sent} sent{missed}", markup=False, soft_wrap=True)
            raise typer.Exit(ExitCode.DIFFERS if failed else ExitCode.OK)
        names = ", ".join(receiver.name for receiver in receivers)
        console.print(f"telling {names} what happens (Ctrl-C stops it)", markup=False, soft_wrap=True)
        sender.run(stop)
    if stop.signal is not None:
        raise typer.Exit(after_signal(stop.signal))
