"""The names of workers: MACHINE-PROCESS-SERIES. A supervisor gives all workers that it starts in turn one series."""

import os
import socket
import uuid


def name_of(process: int, series: str) -> str:
    """The name of the worker of that series in the process of that id on this machine."""
    return f"{socket.gethostname()[:200]}-{process}-{series}"


def new_name(series: str | None = None) -> str:
    """The name of the worker in this process, in that series or in a new one."""
    return name_of(os.getpid(), series or uuid.uuid4().hex[:8])


def process_of(worker: str) -> str:
    """The machine and the process of the worker with that name."""
    return worker.rpartition("-")[0]


def series_of(worker: str) -> str:
    """The series of the worker with that name."""
    return worker.rpartition("-")[2]
