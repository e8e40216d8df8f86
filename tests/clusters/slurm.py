"""A real Slurm with two nodes, of processes on the loopback."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import psutil

from tests.clusters import QUIET, end
from tests.servers import free_port

SLURM = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "scontrol", "sinfo")
CONFIGURATION = """ClusterName=t
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=10
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
StateSaveLocation={folder}/ctl
SlurmdSpoolDir={folder}/d.%n
SlurmctldPidFile={folder}/ctld.pid
SlurmdPidFile={folder}/d.%n.pid
SlurmctldLogFile={folder}/ctld.log
SlurmdLogFile={folder}/d.%n.log
SlurmctldPort={port}
ReturnToService=2
KillWait=20
SlurmdTimeout=10
InactiveLimit=0
MinJobAge=300
JobRequeue=1
SchedulerParameters=sched_min_interval=100000,batch_sched_delay=0
MpiDefault=none
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={first} CPUs=2 State=UNKNOWN
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={second} CPUs=2 State=UNKNOWN
PartitionName=p Nodes=ALL Default=YES State=UP MaxTime=60
"""


class Slurm:
    """A controller and two nodes with two cores each, in a folder of its own."""

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="slurm-"))
        self.processes = {}

    @staticmethod
    def missing():
        """Why it cannot run here; None if it can."""
        path = os.environ.get("PATH", os.defpath) + ":/usr/sbin:/usr/local/sbin"
        for name in SLURM:
            if shutil.which(name, path=path) is None:
                return f"no program {name}: apt-get install slurm-wlm munge"
        return None if os.geteuid() == 0 else "Slurm's programs start jobs for other users, and need root"

    @property
    def environment(self):
        """The variable that its programs need, and the cluster's own log file."""
        return {"SLURM_CONF": str(self.folder / "slurm.conf")}

    def start(self):
        ports = dict(zip(("port", "first", "second"), (free_port() for _ in range(3)), strict=True))
        text = CONFIGURATION.format(host=socket.gethostname(), folder=self.folder, **ports)
        (self.folder / "slurm.conf").write_text(text)
        (self.folder / "ctl").mkdir()
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o600)
        self.folder.chmod(0o755)
        self._run("munged", "munged", "--foreground", "--force", f"--key-file={key}",
                  f"--socket={self.folder}/munge.socket", f"--pid-file={self.folder}/munge.pid",
                  f"--seed-file={self.folder}/munge.seed", f"--log-file={self.folder}/munge.log")  # fmt: skip
        self._until(lambda: (self.folder / "munge.socket").exists())
        self._run("slurmctld", "slurmctld", "-D")
        for node in ("n1", "n2"):
            self.start_node(node)
        self._until(lambda: self.ask("sinfo", "--noheader", "--format=%T %D").split() == ["idle", "2"])

    def start_node(self, node):
        self._run(node, "slurmd", "-D", "-N", node)

    def kill_node(self, node):
        """SIGKILL to the node's daemon and to everything that runs there."""
        process = self.processes.pop(node)
        process.kill()
        process.wait()
        for one in self.on(node):
            with suppress(psutil.NoSuchProcess):
                above = one.parent()
                if above is not None and "slurmstepd" in above.name():
                    above.kill()
                one.kill()

    def on(self, node):
        """The processes of the jobs on a node."""
        found = []
        for one in psutil.process_iter():
            with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                held = one.environ()
                if held.get("SLURMD_NODENAME") == node and held.get("SLURM_CONF") == self.environment["SLURM_CONF"]:
                    found.append(one)
        return found

    def ask(self, *words):
        done = subprocess.run(words, env=os.environ | self.environment, capture_output=True, text=True)
        return done.stdout

    def stop(self):
        if "slurmctld" in self.processes:
            self.ask("scancel", "--user=root", "--signal=KILL", "--full")
        for process in reversed(self.processes.values()):
            end(process)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _run(self, name, program, *words):
        path = shutil.which(program, path=os.environ.get("PATH", os.defpath) + ":/usr/sbin:/usr/local/sbin")
        with open(self.folder / f"{name}.out", "ab") as log:
            self.processes[name] = subprocess.Popen(
                [path, *words], env=os.environ | self.environment, start_new_session=True, stderr=log, **QUIET
            )

    def _until(self, condition, seconds=60):
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                texts = [f"{file.name}:\n{file.read_text()[-1500:]}" for file in self.folder.glob("*.[lo][ou][gt]")]
                raise RuntimeError("Slurm does not start:\n" + "\n".join(texts))
            time.sleep(0.1)
