"""The scripts of `optbench launch-script`, which the programs that read them accept, and what systemd is told."""

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from optbench.choices import ScriptKind
from optbench.errors import DefinitionError
from optbench.exits import STOPPED, ExitCode, after_signal
from optbench.launchers.pool_options import PoolOptions
from optbench.launchers.scripts import Script, render
from optbench.launchers.supervisor import Supervisor
from optbench.launchers.systemd import Systemd
from optbench.worker.stop import SIGNALS
from tests.commands import in_process
from tests.light import environment

AWKWARD = 'a\'b "c" $HOME %i `d` \\ é #: x'
NOBODY = "postgresql+psycopg://u:p@127.0.0.1:1/x"
IDLE = PoolOptions(exit_when_idle=5.0)
URL = "postgresql+psycopg://u:p%20w$'\"@db.example.org/x"


FAKE = """import os, signal, time
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda number, _: os._exit(128 + number))
{end}
open("{ready}", "w").close()
time.sleep(30)
"""


def documents(text):
    yaml = pytest.importorskip("yaml")
    return list(yaml.safe_load_all(text))


@pytest.mark.parametrize("idle", [None, 5.0])
def test_the_manifests_suit_the_schema_of_the_api(idle):
    validate = pytest.importorskip("kubernetes_validate").validate
    options = PoolOptions(label=AWKWARD, exit_when_idle=idle, grace=42.5, data_dir=Path("/data"))
    found = documents(
        render(
            Script(
                kind=ScriptKind.KUBERNETES,
                workers=3,
                cpus=2,
                gpus=1,
                memory="4G",
                options=options,
                image="registry.example.org/optbench:1",
                url=URL,
                claim="data",
            )
        )
    )
    assert [one["kind"] for one in found] == ["Secret", "Job" if idle else "Deployment"]
    for one in found:
        validate(one, "1.30", strict=True)
    secret, workers = found
    assert secret["stringData"]["OPTBENCH_STORAGE"] == URL
    pod = workers["spec"]["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] == 58
    assert pod["securityContext"]["runAsNonRoot"] is True
    (container,) = pod["containers"]
    assert container["command"][:2] == ["optbench", "worker"]
    assert f"--label={AWKWARD}" in container["command"]
    assert container["env"][0]["valueFrom"]["secretKeyRef"]["name"] == secret["metadata"]["name"]
    assert workers["spec"]["parallelism" if idle else "replicas"] == 3


def test_without_a_url_the_manifest_holds_no_secret():
    (found,) = documents(render(Script(kind=ScriptKind.KUBERNETES, image="x")))
    assert found["kind"] == "Deployment"


def unit(**changes):
    return render(Script(kind=ScriptKind.SYSTEMD, environment_file="/etc/optbench/env", user="root", **changes))


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze: apt-get install systemd")
def test_systemd_accepts_the_unit(tmp_path):
    file = tmp_path / "optbench-worker@.service"
    file.write_text(unit(workers=2, memory="4G", options=PoolOptions(label=AWKWARD)))
    done = subprocess.run(["systemd-analyze", "verify", file], capture_output=True, text=True)
    about_it = [line for line in done.stderr.splitlines() if "optbench-worker" in line]
    assert about_it == []


def test_a_unit_has_each_word_of_the_command_in_quotes():
    (line,) = [line for line in unit(options=PoolOptions(label=AWKWARD)).splitlines() if line.startswith("ExecStart=")]
    assert '"--label=a\'b \\"c\\" $$HOME %%i `d` \\\\ é #: x"' in line
    assert f'ExecStart="{sys.executable}" "-m" "optbench" "worker"' in line


def slurm(**changes):
    return render(Script(kind=ScriptKind.SLURM, environment_file="/home/a b/env", **changes))


def test_the_job_array_is_valid_bash_and_quotes_its_values():
    text = slurm(workers=8, gpus=1, memory="4G", options=PoolOptions(label=AWKWARD), slurm=["--partition=long"])
    subprocess.run(["bash", "-n"], input=text, text=True, check=True)
    (line,) = [line for line in text.splitlines() if " worker " in line and " & # " in line]
    assert f"--label={AWKWARD}" in shlex.split(line, comments=True)
    assert "#SBATCH --partition=long" in text
    assert ". '/home/a b/env' || exit 2" in text


@pytest.mark.parametrize(
    ("name", "end", "code", "requeued"),
    [
        ("USR1", "", 0, True),
        ("USR1", "signal.signal(signal.SIGTERM, lambda *_: os._exit(0))", 0, False),
        ("USR1", "signal.signal(signal.SIGTERM, lambda *_: os._exit(1))", 0, True),
        ("USR1 TERM", "signal.signal(signal.SIGTERM, lambda *_: (time.sleep(4), os._exit(143)))", 143, False),
        ("TERM", "", 143, False),
        ("INT", "", 130, False),
        (None, "os._exit(0)", 0, False),
        (None, "os._exit(2)", 2, False),
        (None, "os._exit(3)", 0, True),
        (None, "os.kill(os.getpid(), 9)", 0, True),
    ],
)
def test_the_job_ends_in_order_and_is_queued_again_only_if_it_has_to(tmp_path, name, end, code, requeued):
    *found, said = ended(tmp_path, name, end)
    assert found == [code, requeued]
    assert "time limit" not in said


@pytest.mark.parametrize(("seconds", "too_short"), [(115, True), (150, False), (None, False)])
def test_a_job_whose_time_limit_leaves_no_time_to_train_ends_at_once(tmp_path, seconds, too_short):
    end = "Unknown" if seconds is None else (datetime.now() + timedelta(seconds=seconds)).isoformat(timespec="seconds")
    (tmp_path / "squeue").write_text(f"#!/bin/sh\necho {end}\n")
    (tmp_path / "squeue").chmod(0o755)
    code, requeued, said = ended(tmp_path, None, "os._exit(0)")
    assert (code, requeued) == (ExitCode.REFUSED if too_short else ExitCode.OK, False)
    assert said.startswith("optbench: the time limit is too short: a worker has to end 120 s before it; ") == too_short


def ended(folder, name, end):
    """The script's exit code, whether it was queued again, and what it said: in bash, with a fake worker and scontrol.

    `name` has the signals that the script gets once the worker runs, `end` what the worker does then.
    """
    ready, queued = folder / "ready", folder / "scontrol.txt"
    (folder / "worker.py").write_text(FAKE.format(end=end, ready=ready))
    (folder / "scontrol").write_text(f"#!/bin/sh\necho $@ > {queued}\n")
    (folder / "scontrol").chmod(0o755)
    lines = [f"{sys.executable} {folder}/worker.py &" if " & # " in line else line for line in slurm().splitlines()]
    environment = os.environ | {
        "PATH": f"{folder}:{os.environ['PATH']}",
        "OPTBENCH_STORAGE": "x",
        "SLURM_ARRAY_JOB_ID": "7",
        "SLURM_ARRAY_TASK_ID": "2",
    }
    command = ["bash", "-c", "\n".join(lines)]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        if name is not None:
            while not ready.exists():
                assert process.poll() is None
            for number in name.split():
                process.send_signal(getattr(signal, f"SIG{number}"))
                time.sleep(0.5)
        _, said = process.communicate(timeout=30)
    assert not queued.exists() or queued.read_text() == "requeue 7_2\n"
    return process.returncode, queued.exists(), said


def final_codes():
    """The exit codes after which each program does not start a worker again, as its script says."""
    units, (job,) = unit(), documents(render(Script(kind=ScriptKind.KUBERNETES, image="x", options=IDLE)))
    ignore, fail = job["spec"]["podFailurePolicy"]["rules"]
    assert (ignore["action"], fail["action"]) == ("Ignore", "FailJob")
    return {
        "systemd": {
            int(code)
            for line in re.findall("^(?:Success|RestartPrevent)ExitStatus=(.*)", units, re.M)
            for code in line.split()
        },
        "kubernetes": set(fail["onExitCodes"]["values"]),
        "slurm": {int(code) for line in re.findall(r"^    ([\d |]+)\)", slurm(), re.M) for code in line.split("|")},
    }


def test_no_program_gives_up_a_worker_whose_database_does_not_answer_when_it_starts(tmp_path):
    command = [sys.executable, "-u", "-m", "optbench", "worker", "--storage", NOBODY]
    with subprocess.Popen(command, cwd=tmp_path, env=environment(), stderr=subprocess.PIPE, text=True) as process:
        lines = [process.stderr.readline() for _ in range(2)]
        process.send_signal(signal.SIGTERM)
        process.wait(30)
    assert "Connection refused" in lines[0]
    assert lines[1] == f"optbench: the worker ended with exit code {ExitCode.UNREACHABLE}; it starts again in 1 s\n"
    assert process.returncode == ExitCode.TERMINATED
    final = final_codes()
    assert [name for name, codes in final.items() if ExitCode.UNREACHABLE in codes] == []
    assert {name for name, codes in final.items() if ExitCode.TERMINATED in codes} == {"systemd", "slurm"}
    assert all(ExitCode.REFUSED in codes for codes in final.values())
    assert "Connection refused" in in_process("queue", "--storage", NOBODY, code=ExitCode.UNREACHABLE)


def test_a_worker_that_is_refused_is_not_started_again(tmp_path):
    (tmp_path / "x.db").write_text("this is no database, but a text of some length")
    assert "x.db" in in_process("worker", "--storage", "x.db", cwd=tmp_path, code=ExitCode.REFUSED)


def test_the_exit_codes_after_signals_are_those_of_the_signals_that_are_heeded():
    assert set(STOPPED) == {after_signal(number) for number in SIGNALS}


def test_the_command_prints_a_script_and_refuses_what_does_not_fit():
    assert in_process("launch-script", "slurm", "--workers", 4, "--slurm", "--time=1:00:00 -p 'a b'", code=2)
    text = in_process("launch-script", "slurm", "--workers", 4, "--slurm", "--time=1:00:00 --comment='a b'")
    assert "#SBATCH --array=1-4" in text
    assert "#SBATCH '--comment=a b'" in text
    assert "s3cret" not in in_process("launch-script", "kubernetes", "--storage", "mysql://u:s3cret@h/d")
    assert "u:s3cret@h" in in_process("launch-script", "kubernetes", "--storage", "mysql://u:s3cret@h/d", "--with-url")
    for refused, message in {
        ("slurm", "--image", "x"): "--image is for kubernetes; leave it out for slurm",
        ("kubernetes", "--environment-file", "x"): "--environment-file is for slurm and systemd",
        ("kubernetes", "--with-url"): "is an SQLite file, which processes on several machines would damage",
        ("kubernetes", "--storage", "x.db"): "kubernetes: sqlite:///x.db is an SQLite file, which processes on several",
        ("slurm", "--storage", "x.db"): "slurm: sqlite:///x.db is an SQLite file, which processes on several",
        (
            "systemd",
            "--environment-file",
            "rel/path",
        ): "--environment-file rel/path; expected a path that begins with /",
        ("systemd", "--user", "nobody here"): "--user 'nobody here'; expected the name of a user",
        ("slurm", "--workers", 0): "--workers 0; expected a whole number from 1 to 1000",
        ("slurm", "--worker-gpus", -1): "--worker-gpus -1; expected a whole number from 0 to 64",
        ("slurm", "--name", "A b"): "--name 'A b'; expected at most 52 lowercase letters",
        ("slurm", "--label", "a\nb"): "expected 1 to 100 printable characters",
        ("slurm", "--data-dir", "a\nb"): "expected a value without line breaks",
        ("systemd", "--memory", "lots"): "--memory 'lots'; expected megabytes or gigabytes",
        ("kubernetes", "--data-claim", "data"): "add that option",
        ("slurm", "--grace", -1): "--grace -1; expected seconds",
        ("nomad",): "nomad",
    }.items():
        assert message in in_process("launch-script", *refused, code=2)


@pytest.mark.parametrize("kind", ["path", "abstract"])
def test_the_supervisor_tells_systemd_that_it_is_ready_and_alive(kind, tmp_path, monkeypatch):
    address = str(tmp_path / "n") if kind == "path" else f"@optbench-test-{os.getpid()}"
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listener.bind("\0" + address[1:] if kind == "abstract" else address)
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    monkeypatch.setenv("WATCHDOG_USEC", "200000")
    code = "import os, sys, time; time.sleep(0.5); sys.exit('NOTIFY_SOCKET' in os.environ)"
    assert Supervisor([sys.executable, "-c", code], {}, print).run() == 0
    listener.setblocking(False)
    heard = []
    while True:
        try:
            heard.append(listener.recv(100))
        except BlockingIOError:
            break
    listener.close()
    assert heard[0] == b"READY=1"
    assert heard.count(b"WATCHDOG=1") >= 3


def test_without_systemd_nobody_is_told():
    quiet = Systemd({"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"})
    assert quiet.every is None
    quiet.ready()


def test_a_value_with_a_line_break_is_refused():
    with pytest.raises(DefinitionError, match="without line breaks"):
        render(Script(kind=ScriptKind.SLURM, slurm=["--comment=a\n#SBATCH --uid=0"]))
