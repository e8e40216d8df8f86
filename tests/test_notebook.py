"""A notebook that a Jupyter kernel runs from `load` to `compare`. Its progress is one display that is updated."""

import os

import nbclient
import nbformat

from tests.conftest import ROOT, TINY

CELLS = [
    f"import optbench\nsweep = optbench.load({TINY!r}, trials=3)",
    "study = optbench.run(sweep, 'sqlite:///notebook.db', lanes=2)\nstudy",
    "study.table()",
    "confirmations = optbench.confirm(study, top=1, seeds=2, lanes=2)",
    "optbench.compare(study)",
]


def test_a_notebook_runs_from_load_to_compare(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    cells = [nbformat.v4.new_code_cell(cell) for cell in CELLS]
    notebook = nbformat.v4.new_notebook(cells=cells)
    client = nbclient.NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": os.fspath(tmp_path)}}
    )
    client.execute()
    progress, study = cells[1].outputs[0].data["text/plain"], cells[1].outputs[-1].data["text/html"]
    assert "3/3" in progress
    assert "<b>tiny</b>: 3/3 trials, done" in study
    assert "<th>learning_rate</th>" in cells[2].outputs[-1].data["text/html"]
    assert "tuned %" in cells[4].outputs[-1].data["text/html"]
