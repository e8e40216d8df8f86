"""The command that tells people and programs what happened. It loads no TensorFlow."""

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from optbench.cli.options import DEFAULT_STORAGE, StorageUrl, app, opened
from optbench.cli.output import console
from optbench.errors import counted
from optbench.exits import ExitCode, after_signal
from optbench.worker.stop import Stop

if TYPE_CHECKING:
    from optbench.service.notify import EventSender


@app.command()
def notify(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A TOML file that names the receivers.")],
    storage: StorageUrl = DEFAULT_STORAGE,
    once: Annotated[bool, typer.Option("--once", help="Send what is new, and end.")] = False,
) -> None:
    """Send webhooks, chat messages or mail about what happens. Example: optbench notify receivers.toml"""
    from optbench.service.notify import EventSender, Outages, open_patiently
    from optbench.service.receivers import read_receivers

    receivers = read_receivers(file)
    if once:
        with opened(storage) as storage_:
            _send_once(EventSender(storage_, receivers))
        return
    names = ", ".join(receiver.name for receiver in receivers)
    outages = Outages(receivers)
    with Stop() as stop:
        if (database := open_patiently(storage, outages, stop)) is not None:
            with closing(database):
                console.print(f"telling {names} what happens (Ctrl-C stops it)", markup=False, soft_wrap=True)
                EventSender(database, receivers, outages).run(stop)
    if stop.signal is not None:
        raise typer.Exit(after_signal(stop.signal))


def _send_once(sender: "EventSender") -> None:
    sent = counted(sender.look(), "event")
    failed = [receiver.name for receiver in sender.receivers if receiver.failed]
    missed = f"; {', '.join(failed)} did not take all: the next run tries again" if failed else ""
    console.print(f"{sent} sent{missed}", markup=False, soft_wrap=True)
    raise typer.Exit(ExitCode.DIFFERS if failed else ExitCode.OK)
