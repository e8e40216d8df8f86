"""Real clusters for tests, of processes on the loopback: Slurm with two nodes, Ray with two nodes."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import psutil

from tests.servers import _free_port

QUIET = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
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


def _end(process, number=signal.SIGKILL):
    """End a process and all that it started."""
    with suppress(psutil.NoSuchProcess):
        top = psutil.Process(process.pid)
        for one in [*top.children(recursive=True), top]:
            with suppress(psutil.NoSuchProcess):
                one.send_signal(number)
    process.wait(30)


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
        ports = dict(zip(("port", "first", "second"), (_free_port() for _ in range(3)), strict=True))
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
            _end(process)
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


class Ray:
    """A head and a second node as real processes; Ray turns 127.0.0.1 into the host's own address, so not that one."""

    def __init__(self, environment=None):
        self.folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))  # short: Ray has sockets below it
        self.address = f"127.0.0.2:{_free_port()}"
        self.nodes = {}
        self.given = environment or dict(os.environ)

    @staticmethod
    def missing():
        """Why it cannot run here; None if it can."""
        program = Path(sys.executable).parent / "ray"
        return None if program.exists() else "Ray is not installed: pip install 'optbench[ray]'"

    @property
    def environment(self):
        """The variables for a driver."""
        return {"RAY_ADDRESS": self.address, "RAY_USAGE_STATS_ENABLED": "0"}

    def start(self):
        """Starts the nodes one after the other: two at once may take the same ports."""
        self.start_node("head")
        self.start_node("second")

    def start_node(self, name):
        where = [f"--address={self.address}", "--node-ip-address=127.0.0.3"]
        if name == "head":
            host, _, port = self.address.partition(":")
            where = ["--head", f"--node-ip-address={host}", f"--port={port}", "--include-dashboard=false"]
            where += [f"--temp-dir={self.folder}/r"]
        program = Path(sys.executable).parent / "ray"
        options = ["--block", "--disable-usage-stats", "--object-store-memory=80000000", "--num-cpus=2"]
        environment = self.given | {"RAY_USAGE_STATS_ENABLED": "0", "RAY_DISABLE_IMPORT_WARNING": "1"}
        log = self.folder / f"{name}.log"
        with log.open("wb") as file:
            self.nodes[name] = subprocess.Popen(
                [program, "start", *where, *options],
                stdout=file, stderr=file, stdin=subprocess.DEVNULL, start_new_session=True, env=environment,
            )  # fmt: skip
        end = time.monotonic() + 90
        while "--block" not in log.read_text():  # it says so once the node is there
            if self.nodes[name].poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"Ray does not start: {log.read_text()[-2000:]}")
            time.sleep(0.2)

    def kill_node(self, name):
        _end(self.nodes.pop(name))

    def stop(self):
        for name in list(reversed(self.nodes)):
            self.kill_node(name)
        shutil.rmtree(self.folder, ignore_errors=True)
