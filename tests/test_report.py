"""The report: its sections, importances that cannot be computed, and the page in a browser."""

import math
import re
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace
from datetime import datetime, timedelta

import optuna
import pytest

from optbench.comparison.collect import collect
from optbench.comparison.rows import rows
from optbench.comparison.verdict import pairs
from optbench.definition.space import Choice, Float
from optbench.report.budget_section import budgets
from optbench.report.edges import edges
from optbench.report.figures import Line, lines
from optbench.report.importance import importances
from optbench.report.model import Page, Section, StudyDetails, Table
from optbench.report.page import report
from optbench.report.render import render
from optbench.report.search_sections import pruning, spaces
from optbench.report.speed_sections import targets, traces
from optbench.report.stages_section import stages
from optbench.report.style import WARNING, Scale, shade, tint
from optbench.report.verdict_section import in_mind, verdict
from optbench.scheduler.states import State
from optbench.statistics.budget import best_of_k_unbiased, largest_k
from optbench.statistics.sequential import ConfidenceSequence
from optbench.storage import find_study, open_storage, studies, trials
from tests.commands import in_process
from tests.conftest import ROOT, TINY, train
from tests.filled import SPACES, peak, run, search

BROWSERS_OWN = re.compile(r"https?://([\w-]+\.)*google(apis)?\.com/")  # the browser's own updates and accounts


@pytest.fixture
def storage(tmp_path):
    opened = open_storage(f"sqlite:///{tmp_path}/x.db", create=True)
    yield opened
    opened.close()


def test_the_cost_of_pruning_is_measured_against_the_trials_that_had_ended(storage):
    run(storage, search(), "adadelta", peak)
    (arm,) = collect(storage, []).arms
    first, *rest = [t for t in arm.source.trials if t.state == "complete"]
    late = replace(first, number=0, value=0.9999, ended=rest[-1].ended + timedelta(hours=1))
    audited = replace(rest[-1], audit=3)
    text = pruning([replace(arm, source=replace(arm.source, trials=[late, *rest[:-1], audited]))]).text[0]
    best = max(t.value for t in rest[:-1])
    regret = 100 * max(0.0, audited.last - best)
    assert f"by at most {regret:.2f} percentage points" in text


def test_a_report_is_made_from_few_draws_and_missing_curves(storage):
    run(storage, search("adadelta", trials=12), "adadelta", peak)
    run(storage, search("adadelta-explore", sampler={"name": "random"}, pruner={"name": "none"}, trials=5), "few", peak)
    lost = optuna.load_study(study_name="adadelta", storage=storage.optuna)
    lost.add_trial(optuna.trial.create_trial(value=0.999))
    comparison = collect(storage, ["adadelta"])
    assert "What a budget is worth" in report(comparison, rows(comparison), [])


def test_a_space_that_is_too_narrow_gets_a_warning_and_a_mark_on_its_axis(storage):
    space = SPACES["adadelta"] | {"learning_rate": {"low": 0.01, "high": 1.1, "log": True}}
    run(storage, search(space=space, sampler={"name": "qmc"}), "adadelta", peak)
    (arm,) = collect(storage, []).arms
    (section,) = spaces([arm])
    assert section.warnings == ["learning_rate: the best trials sit at its high end; try 0.01 to 12."]
    epsilon, rate, curves = (figure.plot for figure in section.figures)
    titles = [figure.layout.xaxis.title.text for figure in (epsilon, rate, curves)]
    assert titles == ["epsilon", "learning_rate<br>best trials at its high end", "epoch"]
    warned = [[line.x0 for line in f.layout.shapes if line.line.color == WARNING] for f in (epsilon, rate)]
    assert warned == [[], [1.1]]


def test_the_proposed_range_of_epsilon_ends_where_it_only_scales_the_learning_rate(storage):
    space = SPACES["adadelta"] | {"epsilon": {"low": 1e-9, "high": 1e-1, "log": True}}
    run(storage, search(space=space, sampler={"name": "qmc"}), "adadelta", lambda job: job.hparams["epsilon"])
    (arm,) = collect(storage, []).arms
    (edge,) = [edge for edge in edges(arm.source.study, arm.best) if edge.name == "epsilon"]
    assert (edge.end, edge.proposal) == ("high", (1e-9, 1.0))


@pytest.mark.parametrize(
    ("values", "better", "expected"),
    [
        ([16, 32, 64, 128], 128, "batch: the best trials have 128, the largest of its list; try larger ones, too."),
        ([16, 32, 64, 128], 16, "batch: the best trials have 16, the smallest of its list; try smaller ones, too."),
        ([16, 32, 64, 128], 64, None),
        ([16, 32], 32, None),
        ([1, 32, 64], 1, None),
    ],
)
def test_a_list_has_a_slice_and_warns_if_the_best_trials_have_its_first_or_last_number(
    values, better, expected, storage
):
    space = SPACES["adadelta"] | {"batch": values, "schedule": ["constant", "cosine"]}
    sweep = search(space=space, sampler={"name": "random"}, pruner={"name": "none"})
    run(storage, sweep, "adadelta", lambda job: 0.9 if job.hparams.get("batch", 64) == better else 0.5)
    (section,) = spaces(collect(storage, ["adadelta"]).arms)
    assert [line for line in section.warnings if line.startswith("batch")] == [expected] * bool(expected)
    assert not [line for line in section.warnings if line.startswith("schedule")]
    plots = {figure.caption.rpartition(" against ")[2]: figure.plot for figure in section.figures}
    assert list(plots["batch"].layout.xaxis.ticktext) == [str(value) for value in values]
    assert list(plots["schedule"].layout.xaxis.ticktext) == ["constant", "cosine"]
    places = [x for trace in plots["batch"].data if trace.name == "complete" for x in trace.x]
    assert {round(x) for x in places} == set(range(len(values)))
    assert max(abs(x - round(x)) for x in places) <= 0.3
    assert ("end" in plots["batch"].layout.xaxis.title.text) == bool(expected)


def test_budget_curves_end_where_their_band_does(comparison_url):
    storage = open_storage(comparison_url)
    arms = collect(storage, []).arms
    section = budgets(arms)
    figure, reached = section.figures
    assert [trace.y[-1] for trace in reached.plot.data] == [1, 1]
    curves = {trace.name: trace for trace in figure.plot.data if trace.name}
    assert list(curves) == ["adadelta, mean", "adadelta, median", "adam, mean", "adam, median"]
    assert {len(trace.x) for trace in curves.values()} == {largest_k(64)}
    (table,) = section.tables
    means = {row[1]: row[2] for row in table.rows if row[0] == "adadelta"}
    assert list(means) == ["1", "2", "4", "6"]
    drawn = [t.last for t in arms[0].explored.trials]
    assert means["4"] == f"{100 * best_of_k_unbiased(drawn, 4)[0]:.2f}"
    assert any("the chance that adadelta beats adam is" in text for text in section.text)
    storage.close()


def test_an_unfinished_exploration_gets_the_command_that_resumes_it(storage):
    sweep = search("adadelta-explore", sampler={"name": "qmc"}, pruner={"name": "none"}, trials=16)
    run(storage, sweep, "adadelta-explore", peak)
    storage.optuna.set_study_user_attr(find_study(storage, "adadelta-explore").study_id, "trials", 64)
    (text,) = budgets(collect(storage, ["adadelta-explore"]).arms).text
    assert "16 of 64 trials are finished" in text
    assert text.endswith("Carry on with `optbench sweep adadelta-explore`.")


def test_importances_sum_to_1_and_rank_the_learning_rate_first(comparison_url):
    storage = open_storage(comparison_url)
    arm = collect(storage, []).arms[0]
    storage.close()
    found = importances(arm.source.trials, {name: Float(**d) for name, d in SPACES["adadelta"].items()})
    assert set(found.by_method) == {"PED-ANOVA", "fANOVA"}
    for fractions in found.by_method.values():
        assert sum(fractions.values()) == pytest.approx(1)
        assert max(fractions, key=fractions.get) == "learning_rate"


RATE = {"low": 0.01, "high": 10.0, "log": True}


@pytest.mark.parametrize(
    ("space", "count", "score", "reason"),
    [
        ({"learning_rate": 1.0}, 10, peak, "every trial has the same learning_rate, so there is nothing to rank"),
        (
            {"learning_rate": 1.0, "epsilon": [1e-7]},
            10,
            peak,
            "every trial has the same epsilon and learning_rate, so there is nothing to rank",
        ),
        (
            {"learning_rate": RATE, "epsilon": [1e-7]},
            10,
            peak,
            "only learning_rate varies, so there is nothing to rank",
        ),
        (
            {"learning_rate": RATE, "epsilon": [1e-7, 1e-6]},
            9,
            peak,
            "9 complete trials are too few; expected 10 or more",
        ),
        (
            {"learning_rate": RATE, "epsilon": [1e-7, 1e-6]},
            10,
            lambda job: 1.0,
            "all 10 complete trials reached the same accuracy, so no hyperparameter made a difference",
        ),
    ],
)
def test_a_sentence_says_why_importances_cannot_be_ranked(storage, space, count, score, reason):
    sweep = search(space=space, trials=count, pruner={"name": "none"}, sampler={"name": "random"})
    run(storage, sweep, "adadelta", score)
    found = importances(trials(storage, find_study(storage, "adadelta").study_id), sweep.space)
    assert (dict(found.by_method), found.reason) == ({}, reason)
    comparison = collect(storage, ["adadelta"])
    assert f"<p>adadelta: {reason}.</p>" in report(comparison, rows(comparison), [])


def test_a_method_that_finds_no_variance_is_left_out(storage):
    """Only one of many trials differs, so the trees of fANOVA may miss it."""
    space = {"learning_rate": Choice((0.1, 1.0)), "epsilon": Choice((1e-7, 1e-6))}
    run(storage, search(space={n: list(d.values) for n, d in space.items()}, trials=12), "adadelta", peak)
    records = trials(storage, find_study(storage, "adadelta").study_id)
    complete = [
        replace(r, state=State.COMPLETE, value=0.9, params={"learning_rate": 0.1, "epsilon": 1e-7}) for r in records
    ]
    complete[0] = replace(complete[0], value=0.9 + 1e-17, params={"learning_rate": 1.0, "epsilon": 1e-6})
    assert importances(complete, space).by_method == {}


@pytest.mark.parametrize(
    ("changes", "options", "sentence"),
    [
        (
            {"trials": 10, "epochs": 1, "space": {"learning_rate": 1.0}},
            {},
            "every trial has the same learning_rate, so there is nothing to rank",
        ),
        (
            {
                "optimizer": "sgd", "trials": 10, "epochs": 6, "batch": 50, "data": {"name": "digits", "validation": 1},
                "model": {"hidden": [32]}, "space": {"learning_rate": {"low": 0.05, "high": 0.2, "log": True}},
                "sampler": {"name": "random"},
            },
            {"seed": 1},
            "only learning_rate varies, so there is nothing to rank",
        ),
    ],
)  # fmt: skip
def test_a_trained_search_with_nothing_to_rank_is_reported(tmp_path, changes, options, sentence):
    url, page = f"sqlite:///{tmp_path}/x.db", tmp_path / "x.html"
    train(TINY | {"name": "single", "pruner": {"name": "none"}} | changes, url, **options)
    in_process("report", "single", "--storage", url, "-o", str(page))
    assert sentence in page.read_text()


def test_reporting_writes_nothing_to_the_database(comparison_url, tmp_path):
    file = tmp_path / "copy.db"
    shutil.copyfile(comparison_url.removeprefix("sqlite:///"), file)
    before = file.read_bytes()
    in_process("report", "adadelta", "adam", "--storage", f"sqlite:///{file}", "-o", str(tmp_path / "page.html"))
    assert file.read_bytes() == before


def test_the_page_has_every_section_and_loads_nothing_from_elsewhere(comparison_url):
    storage = open_storage(comparison_url)
    comparison = collect(storage, [])
    text = report(comparison, rows(comparison), pairs(comparison.arms, 0.1), now=datetime(2026, 1, 2, 3, 4))
    epochs = sum(study.epochs for study in studies(storage))
    storage.close()
    titles = {
        "the-verdict": "The verdict", "what-to-bear-in-mind": "What to bear in mind",
        "from-default-to-tuned": "From default to tuned",
        "learning-curves": "Learning curves", "what-a-budget-is-worth": "What a budget is worth",
        "how-the-searches-went": "How the searches went", "the-search-of-adadelta": "The search of adadelta",
        "learning-rate-and-epsilon": "Learning rate and epsilon", "importances": "Importances",
        "effective-learning-rate": "Effective learning rate", "time-to-target": "Time to target",
        "what-pruning-cost": "What pruning cost", "how-it-was-done": "How it was done",
    }  # fmt: skip
    for anchor, title in titles.items():
        assert f'<a href="#{anchor}">{title}</a>' in text
        assert re.search(rf'<section id="{anchor}">\s*<h2>{title}</h2>', text)
    assert "<dt>Date of this report</dt><dd>2026-01-02 03:04</dd>" in text
    assert f"<dt>Trainings</dt><dd>234, of {epochs:,} epochs together</dd>" in text
    assert "its median effective learning rate grew 6-fold (0.001 to 0.006)" in text
    assert "that would have been pruned were trained to their ends" in text
    assert "Test-set evaluations of adam/confirm: 20." in text
    assert "type `optbench report" not in text, "the page should not name the command that makes it"
    assert not re.search(r"<(script|link|img)[^>]+(src|href)=.https?:", text)


def test_every_study_is_described_once_and_without_python_syntax(comparison_url):
    storage = open_storage(comparison_url)
    comparison = collect(storage, ["adadelta", "adadelta-explore"], anyway=True)
    text = report(comparison, rows(comparison), [])
    storage.close()
    names = re.findall("<h3>(.*?)</h3>", text)
    assert names == ["adadelta", "adadelta-explore", "base"]
    details = text[text.index('<section id="how-it-was-done">') : text.index("</main>")]
    assert "{" not in details.replace("{ low", "").replace("{ name", "")


def test_the_strip_of_paired_differences_shows_every_seed_and_the_band_that_counts_as_equal(comparison_url):
    storage = open_storage(comparison_url)
    comparison = collect(storage, [])
    storage.close()
    (pair,) = pairs(comparison.arms, 0.1)
    strip, chance = (figure.plot for figure in verdict(comparison, [pair]).figures)
    seeds, ninety, mean = strip.data
    one, two = (arm.confirmed[0].scores for arm in comparison.arms)
    assert sorted(seeds.x) == pytest.approx(sorted(100 * (one[seed] - two[seed]) for seed in one))
    assert list(ninety.x) == [100 * pair.equal.low, 100 * pair.equal.high]
    assert (mean.x[0], mean.error_x.array[0]) == (100 * pair.difference.mean, 100 * pair.difference.high - mean.x[0])
    band, zero = strip.layout.shapes
    assert (band.x0, band.x1, zero.x0, zero.x1) == (-0.1, 0.1, 0, 0)
    assert chance.data[0].x == (100 * pair.better.fraction,)
    assert any(text.startswith("The intervals cover seeds only") for text in in_mind(comparison).text)
    at_every_look = ConfidenceSequence(n=10, mean=pair.difference.mean, low=-0.02, high=0.03, alpha=0.05)
    figure = verdict(comparison, [replace(pair, sequence=at_every_look)]).figures[0]
    _, mean = figure.plot.data
    assert (mean.x[0] - mean.error_x.arrayminus[0], mean.x[0] + mean.error_x.array[0]) == pytest.approx((-2.0, 3.0))
    assert "the thin one holds at every look" in figure.caption


def test_the_figure_from_default_to_tuned_shows_every_seed_and_published_accuracies(comparison_url):
    storage = open_storage(comparison_url)
    comparison = collect(storage, [])
    storage.close()
    section = stages(comparison, rows(comparison))
    whole, near = (figure.plot for figure in section.figures)
    assert list(whole.layout.yaxis.ticktext) == [
        "adadelta, default", "adadelta, paper", "adadelta, tuned", "adam, default", "adam, tuned"
    ]  # fmt: skip
    assert whole.layout.height > near.layout.height, "heights follow the number of rows"
    diamonds = [trace.x[0] for trace in whole.data if trace.marker.symbol == "diamond-open"]
    assert diamonds == pytest.approx([86.53, 98.11])
    assert [len(trace.x) for trace in whole.data if trace.marker.opacity == 0.5] == [2, 2, 10, 2, 10]
    assert "a hollow diamond is a published accuracy" in section.figures[0].caption


def test_errors_are_drawn_on_a_logarithmic_axis_and_an_error_of_0_just_below_the_others():
    line = Line(name="x", x=[1, 2, 3], y=[0.9, 0.99, 1.0], low=[0.8, 0.98, 1.0], high=[1, 1, 1], colour="#000000")
    figure = lines([line], "epoch", "error, %", Scale.ERROR)
    band, curve = figure.data
    assert list(curve.y) == pytest.approx([10, 1, 0.5])
    assert list(band.y) == pytest.approx([20, 2, 0.5, 0.5, 0.5, 0.5])
    assert figure.layout.yaxis.type == "log"


def test_two_arms_of_one_optimizer_differ_in_lightness(storage):
    for name, below in (("adadelta", 0.0), ("adadelta-2", 0.01)):  # with the same values, one would be a copy
        run(storage, search(name, trials=12), name, lambda job, below=below: peak(job) - below)
    comparison = collect(storage, [])
    first, second = (tint(comparison.arms, arm) for arm in comparison.arms)
    assert (first, second) == (shade("#0072B2", 0), shade("#0072B2", 1))
    assert int(second[1:3], 16) > int(first[1:3], 16)
    epochs, seconds = (figure.plot for figure in traces(comparison.arms).figures)
    assert [trace.line.color for trace in epochs.data] == [first, second]
    spent = sum(trial.seconds for trial in comparison.arms[0].source.trials)
    assert seconds.data[0].x[-1] == pytest.approx(spent)


def test_targets_depend_on_the_lowest_error_and_are_given_in_epochs_and_seconds(storage):
    run(storage, search(trials=12), "adadelta", peak)
    arms = collect(storage, ["adadelta"]).arms
    (table,) = targets(arms).tables
    best = arms[0].best[0].value
    assert table.head[1] == f"{int(1000 * (1 - 4 * (1 - best))) / 10:g} %"
    reached = []
    for factor in (4, 2, 1.5, 1.1):
        target = math.floor(1000 * (1 - factor * (1 - best))) / 1000
        epoch = next((n for n in range(1, 7) if best * (1 - 0.5**n) >= target), None)
        reached.append("never" if epoch is None else f"{epoch} (0.{epoch} s)")
    assert table.rows == [["adadelta", *reached]]
    assert reached[0].startswith("3")
    assert reached[-1] == "never"


def test_a_slice_marks_the_best_trial_and_the_papers_setting_and_explains_only_what_is_drawn(storage):
    run(storage, search(pruner={"name": "none"}), "adadelta", peak)
    (section,) = spaces(collect(storage, ["adadelta"]).arms)
    rate = next(f.plot for f in section.figures if f.caption.endswith("against learning_rate"))
    assert [note.text for note in rate.layout.annotations] == ["paper"], "the default of 0.001 is outside the range"
    assert [note.x for note in rate.layout.annotations] == [0.0]
    assert rate.data[-1].marker.symbol == "star-open"
    legend = section.text[-1]
    assert legend.startswith("In the figures, complete trials are dots, and triangles")
    below = sum(symbol == "triangle-down" for symbol in rate.data[0].marker.symbol)
    assert f"stand for {below} trials" in legend


def test_the_cost_of_pruning_is_left_out_if_nothing_was_pruned(storage):
    run(storage, search(pruner={"name": "none"}, trials=5), "adadelta", peak)
    comparison = collect(storage, ["adadelta"])
    assert "What pruning cost" not in report(comparison, rows(comparison), [])


def test_texts_are_escaped_in_the_page():
    evil = "<script>alert(1)</script>"
    table = Table(caption=evil, head=[evil], rows=[[evil]])
    section = Section(title=evil, text=[evil], warnings=[evil], verdicts=[evil], tables=[table])
    details = StudyDetails(name=evil, facts={evil: evil}, definition=evil)
    text = render(
        Page(title=evil, facts={evil: evil}, sections=[section], notes=[evil], scores=[table], details=[details])
    )
    assert evil not in text
    assert text.count("&lt;script&gt;alert(1)&lt;/script&gt;") == 20


def test_sections_with_the_same_title_have_different_anchors():
    sections = [Section(title="The search of a/1"), Section(title="The search of a-1")]
    text = render(Page(title="x", facts={}, sections=sections, notes=[], scores=[], details=[]))
    assert '<section id="the-search-of-a-1">' in text
    assert '<section id="the-search-of-a-1-2">' in text


def test_a_wheel_has_the_templates(tmp_path):
    """Hatchling packs the whole package. A rule that excludes the templates would fail this test."""
    from hatchling.builders.wheel import WheelBuilder

    (wheel,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    with zipfile.ZipFile(wheel) as packed:
        names = {name.rpartition("/")[2] for name in packed.namelist() if name.startswith("optbench/report/templates/")}
    assert names == {"page.html.j2", "page.css", "page.js"}


@pytest.mark.parametrize("width", [1280, 390])
def test_every_figure_is_drawn_in_a_browser_without_an_error_or_a_request(comparison_url, tmp_path, width, chromium):
    page = tmp_path / "report.html"
    command = [
        sys.executable,
        "-m",
        "optbench",
        "report",
        "adadelta",
        "adam",
        "--storage",
        comparison_url,
        "-o",
        str(page),
    ]
    subprocess.run(command, check=True, capture_output=True)
    net = tmp_path / "net.json"
    options = ["--virtual-time-budget=9000", f"--log-net-log={net}", f"--window-size={width},900"]
    run = chromium(page.as_uri(), tmp_path, *options)
    figures = re.findall(r'<div class="plot[^"]*" id="([\w-]+)"', page.read_text())
    assert len(figures) >= 9
    drawn = re.findall(r'<div class="plot[^"]*js-plotly-plot[^"]*" id="([\w-]+)"', run.stdout)
    assert drawn == figures
    assert [line for line in run.stderr.splitlines() if ":CONSOLE" in line] == []
    requested = re.findall(r'"url":"(https?://[^"]+)"', net.read_text())
    assert {url for url in requested if not BROWSERS_OWN.match(url)} == set()
