"""Runs `optbench` commands as a person does: in processes of their own, or in this one."""

import io
import logging
import os
import re
import shlex
import subprocess
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from unittest import mock

from optbench.cli import main
from optbench.cli.output import console

COMMAND = [sys.executable, "-m", "optbench"]


def optbench(*arguments, cwd=None, code=0, **environment):
    """The standard output of a command, or its standard error if `code` is not 0. Checks the exit code."""
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        env=os.environ | environment,
        timeout=300,
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout if code == 0 else done.stderr


def run_page(page, folder, **files):
    """What each `sh` command of a page of the manual printed, run in the folder after its blocks were saved there.

    `files` has the names of the files for the blocks of a language, in their order.
    """
    blocks = re.findall(r"^```(\w+)\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    for language, names in files.items():
        texts = [text for kind, text in blocks if kind == language]
        for name, text in zip(names.split(), texts, strict=True):
            (folder / name).write_text(text)
    lines = [line for kind, text in blocks if kind == "sh" for line in text.splitlines()]
    return [in_process(*shlex.split(line)[1:], cwd=folder) for line in lines]


def in_process(*arguments, cwd=None, code=0):
    """What `optbench` would give, run in this process, which may have loaded TensorFlow already.

    Standard error counts only if the command is refused.
    """
    out, error, logger, found = io.StringIO(), io.StringIO(), logging.getLogger("optbench"), 0
    held = logger.handlers, logger.level, logger.propagate
    with (
        chdir(cwd or Path.cwd()),
        redirect_stdout(out),
        redirect_stderr(error),
        mock.patch.object(sys, "argv", ["optbench", *map(str, arguments)]),
    ):
        try:
            main()
        except SystemExit as exit_:
            found = exit_.code or 0
    logger.handlers, level, logger.propagate = held
    logger.setLevel(level)
    console.stderr = False
    assert found == code, out.getvalue() + error.getvalue()
    return out.getvalue() if code < 2 else error.getvalue()
