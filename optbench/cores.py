"""How many processor cores this process may use."""

import os
from pathlib import Path

from optbench.errors import DefinitionError

VARIABLE = "OPTBENCH_CORES"
GROUP = Path("/proc/self/cgroup")
GROUPS = Path("/sys/fs/cgroup")


def cores() -> int:
    """The least of what the process is bound to, its control group's quota, and OPTBENCH_CORES; at least 1.

    Raises DefinitionError for an OPTBENCH_CORES that is no number of cores.
    """
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([bound, *_quotas(), *_chosen()]))


def _quotas() -> list[int]:
    """The whole cores that the control group (version 2) and those around it may use; empty without quotas.

    A container or a batch system binds a process to no cores, but lets it use only so much of their time.
    """
    try:
        own = next(line[3:] for line in GROUP.read_text().splitlines() if line.startswith("0::"))
    except (OSError, StopIteration):
        return []
    folder = GROUPS / own.lstrip("/")
    found = []
    for group in (folder, *folder.parents):
        if not group.is_relative_to(GROUPS):
            break
        try:
            quota, period = (group / "cpu.max").read_text().split()
        except (OSError, ValueError):  # the root has no such file
            continue
        if quota != "max":
            found.append(int(quota) // int(period))
    return found


def _chosen() -> list[int]:
    text = os.environ.get(VARIABLE, "")
    if not text:
        return []
    if not text.isdecimal() or int(text) < 1:
        raise DefinitionError(f"{VARIABLE} = {text!r}; expected a whole number of cores, 1 or more")
    return [int(text)]
