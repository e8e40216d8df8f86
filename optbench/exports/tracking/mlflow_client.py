"""MLflow's client: which URIs it can have, and its errors as one line.

MLflow reads environment variables when it is imported, so only the functions here import it, after they have set them.
"""

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING

from optbench.errors import DefinitionError, OptbenchError, OutputError, StorageError
from optbench.files import check_writable
from optbench.storage.check import look, parse_url
from optbench.storage.engine import shown

if TYPE_CHECKING:
    from mlflow import MlflowClient

ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",  # whoever exports a study did not ask to report that to anybody
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # its own 7 keep a person waiting for minutes if there is no server
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # of every run, for which it asks the server once more
}
DATABRICKS = "databricks"  # a whole URI, without a colon
FILE_STORE = "MLFLOW_ALLOW_FILE_STORE"
DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
PASSWORD = re.compile(r"(?<=//)([^/:@]*):[^/]*@")
LONGEST_REASON = 200


def check_uri(uri: str) -> None:
    """Raise an error for a URI that names no place for MLflow. Nothing is written and no server is asked, except a
    database's: MLflow would wait two minutes for one that is not there, and make its tables in ours.
    """
    scheme = uri.partition(":")[0] if ":" in uri or uri == DATABRICKS else ""
    if scheme.partition("+")[0] in DATABASES:
        _check_database(uri)
    elif (not scheme or scheme == "file") and os.environ.get(FILE_STORE, "").lower() not in ("true", "1"):
        raise DefinitionError(
            f"--to mlflow {uri or repr(uri)}: MLflow no longer writes to folders; expected, for example, "
            "sqlite:///mlflow.db or http://localhost:5000"
        )


def _check_database(uri: str) -> None:
    try:
        url = parse_url(uri)
        if url.get_backend_name() == "sqlite":
            if not url.database or url.database == ":memory:":
                raise DefinitionError(
                    f"--to mlflow {uri}: that is in memory and would be lost; expected sqlite:///mlflow.db"
                )
            check_writable(Path(url.database))
        tables = look(url).tables
    except StorageError as problem:
        raise OutputError(f"--to mlflow: {str(problem).removeprefix('storage ')}") from problem
    if "studies" in tables:
        raise DefinitionError(
            f"--to mlflow {shown(url)}: that database holds studies; expected one of MLflow's own, for example "
            "sqlite:///mlflow.db"
        )


def connect(uri: str) -> "MlflowClient":
    """The client for a URI that check_uri lets pass. It asks the server nothing yet."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    from mlflow import MlflowClient

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)  # they tell how tables are made
    return MlflowClient(tracking_uri=uri)


@contextmanager
def one_line(uri: str) -> Iterator[None]:
    """Turns what MLflow raises into an OutputError with a message of one line, without the URI's password."""
    try:
        yield
    except OptbenchError:
        raise
    except Exception as problem:  # its stores pass on what the libraries below them raise, of any class
        raise OutputError(f"--to mlflow {without_password(uri)}: {_reason(problem)}") from problem


def without_password(uri: str) -> str:
    """The URI as it may be printed."""
    return PASSWORD.sub(r"\1:***@", uri)


def _reason(problem: BaseException) -> str:
    """Why it failed: what the system said at the bottom of the chain of errors, or else the first line of all."""
    below: BaseException | None = problem
    said = None
    while below is not None:
        said = getattr(below, "strerror", None) or said
        below = below.__cause__ or below.__context__
    lines = str(problem).strip().splitlines() or [type(problem).__name__]
    return str(said or shorten(lines[0], LONGEST_REASON, placeholder=" ..."))
