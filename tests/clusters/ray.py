"""A real Ray cluster with two nodes, of processes on the loopback."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.clusters import end
from tests.servers import free_port


class Ray:
    """A head and a second node as real processes; Ray turns 127.0.0.1 into the host's own address, so not that one."""

    def __init__(self, environment=None):
        self.folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))  # short: Ray has sockets below it
        self.address = f"127.0.0.2:{free_port()}"
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
        end(self.nodes.pop(name))

    def stop(self):
        for name in list(reversed(self.nodes)):
            self.kill_node(name)
        shutil.rmtree(self.folder, ignore_errors=True)
