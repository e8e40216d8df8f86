"""Writes what others start workers of the pool with: a Slurm job array, Kubernetes manifests, a systemd unit."""

import json
import math
import re
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined

from optbench.choices import ScriptKind
from optbench.errors import DefinitionError
from optbench.exits import STOPPED, ExitCode
from optbench.launchers.pool_options import PoolOptions

TEMPLATES = {
    ScriptKind.SLURM: "slurm.sh.j2",
    ScriptKind.KUBERNETES: "kubernetes.yaml.j2",
    ScriptKind.SYSTEMD: "systemd.service.j2",
}
NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,50}[a-z0-9])?")  # as Kubernetes wants it; it suits Slurm and systemd, too
MEMORY = re.compile(r"[1-9]\d{0,8}[MG]")
CONTROL = re.compile(r"[\x00-\x1f\x7f]")  # a line break in a value would begin a line of its own
MARGIN = 15  # seconds between the end of the grace and the moment when the worker is killed
WARNING = 120  # seconds before the time limit of a Slurm job; Slurm looks about once a minute


@dataclass(frozen=True, kw_only=True)
class Script:
    """What a script is to say: so many workers, each with so many cores, GPUs and so much memory.

    `slurm` has further options of sbatch. `environment_file` is a file on the machine of the worker that sets
    OPTBENCH_STORAGE. `secret` is the Kubernetes secret with the URL, and `url` is put into it if it is given. The
    volume `claim` is mounted at the data folder.
    """

    kind: ScriptKind
    workers: int = 1
    cpus: int = 1
    gpus: int = 0
    memory: str | None = None
    name: str = "optbench-worker"
    options: PoolOptions = field(default_factory=PoolOptions)
    slurm: Sequence[str] = ()
    environment_file: str = ""
    image: str = ""
    secret: str = "optbench-storage"
    url: str | None = None
    claim: str | None = None
    user: str = ""

    @property
    def command(self) -> list[str]:
        """The words that start a worker, with the Python that writes the script; an image has its own."""
        program = ["optbench"] if self.kind is ScriptKind.KUBERNETES else [sys.executable, "-m", "optbench"]
        return [*program, "worker", *self.options.words()]

    @property
    def stop_seconds(self) -> int:
        """How long a worker may take to end after SIGTERM."""
        return math.ceil(self.options.grace) + MARGIN

    @property
    def warning_seconds(self) -> int:
        """How long before its time limit a Slurm job begins to end."""
        return max(WARNING, math.ceil(self.options.grace) + 60)


def render(script: Script) -> str:
    """The text of the script. Raises DefinitionError for a value that it cannot hold."""
    _check(script)
    return _environment().get_template(TEMPLATES[script.kind]).render(script=script, exits=ExitCode, stopped=STOPPED)


def _check(script: Script) -> None:
    script.options.check()
    values = {
        "label": script.options.label,
        "data-dir": str(script.options.data_dir or ""),
        "slurm": "".join(script.slurm),
        "environment-file": script.environment_file,
        "image": script.image,
        "user": script.user,
    }
    for option, value in values.items():
        if value is not None and CONTROL.search(value):
            raise DefinitionError(f"--{option} {value!r}; expected a value without line breaks and control characters")
    for option, value in {"name": script.name, "secret": script.secret, "data-claim": script.claim}.items():
        if value is not None and not NAME.fullmatch(value):
            raise DefinitionError(f"--{option} {value!r}; expected at most 52 lowercase letters, digits and hyphens")
    if script.memory is not None and not MEMORY.fullmatch(script.memory):
        raise DefinitionError(f"--memory {script.memory!r}; expected megabytes or gigabytes, for example 500M or 4G")
    if script.claim is not None and script.options.data_dir is None:
        raise DefinitionError("--data-claim says what is mounted at --data-dir; add that option")


@cache
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("optbench.launchers"),
        autoescape=False,  # each value has a filter that quotes it for its place
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters |= {"shell": shlex.quote, "words": shlex.join, "yaml": _yaml, "unit": _unit, "line": _unit_line}
    return made


def _yaml(value: object) -> str:
    """A text in double quotes, as YAML and JSON have it."""
    return json.dumps(str(value), ensure_ascii=False)


def _unit(value: object) -> str:
    """A word of a command, in quotes, for a systemd unit: it has specifiers (%) and variables ($) that are doubled."""
    return _unit_line(json.dumps(str(value), ensure_ascii=False).replace("$", "$$"))


def _unit_line(value: object) -> str:
    """A value that takes the rest of its line in a systemd unit."""
    return str(value).replace("%", "%%")
