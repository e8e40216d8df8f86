"""optuna-dashboard on our storage: served while the database is in use; refused addresses."""

import json
import socket
import subprocess
import sys
import time
import urllib.request

from optbench.storage import open_storage, open_study


def fetch(url):
    with urllib.request.urlopen(url, timeout=5) as answer:
        return answer.read().decode()


def test_the_dashboard_serves_the_studies(tmp_path):
    url = f"sqlite:///{tmp_path}/x.db"
    storage = open_storage(url, create=True)
    open_study(storage, "some study", "validation accuracy", {"trials": 1})
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "optbench", "dashboard", "--storage", url, "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert str(port) in process.stdout.readline()
            listed = json.loads(wait_for(f"http://127.0.0.1:{port}/api/studies"))
            assert [study["study_name"] for study in listed["study_summaries"]] == ["some study"]
            assert "<html" in fetch(f"http://127.0.0.1:{port}/dashboard/").lower()
            again = subprocess.run(command, capture_output=True, text=True, timeout=60)
            assert again.returncode == 2
            assert "choose another --host or --port" in again.stderr
        finally:
            process.terminate()
    storage.close()


def wait_for(url):
    for _ in range(100):
        try:
            return fetch(url)
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"{url} does not answer")
