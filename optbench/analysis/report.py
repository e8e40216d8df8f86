"""The report: the comparison of the named studies as one page."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import tomli_w

from optbench import __version__
from optbench.analysis.arms import Comparison, Source
from optbench.analysis.page import page
from optbench.analysis.sections import sections
from optbench.analysis.verdict import Pair, Row


def report(
    comparison: Comparison,
    rows: Sequence[Row],
    pairs: Sequence[Pair],
    importances: Mapping[str, Mapping[str, Mapping[str, float]]],
) -> str:
    """The page as HTML; `importances` by arm, evaluator and hyperparameter."""
    names = ", ".join(arm.name for arm in comparison.arms)
    return page(f"optbench: {names}", sections(comparison, rows, pairs, importances), details(comparison))


def plots(comparison: Comparison, rows: Sequence[Row], pairs: Sequence[Pair]) -> dict[str, Any]:
    """The page's figures by name, for optuna-dashboard; without the small ones, of which a study has its own there."""
    shown = [section for section in sections(comparison, rows, pairs, {}) if not section.small]
    return {
        f"{'-'.join(re.findall('[a-z]+', section.title.lower()))}-{number}": figure
        for section in shown
        for number, figure in enumerate(section.figures, start=1)
    }


def details(comparison: Comparison) -> str:
    """Definitions, seeds, versions, hashes, and how often the test images were opened."""
    parts = [f"optbench {__version__}"]
    parts += [
        f"test images opened: {count} times in {name}" for name, count in sorted(comparison.test_evaluations.items())
    ]
    for arm in comparison.arms:
        parts.append(_study(arm.source))
        for place, configuration in enumerate(arm.confirmed, start=1):
            scores = ", ".join(f"{seed}: {value:.4f}" for seed, value in sorted(configuration.scores.items()))
            parts.append(
                f"{arm.name}, number {place} by validation, trial {configuration.trial.number}, confirmed in "
                f"{configuration.study} for {configuration.epochs} epochs; test accuracy by seed: {scores}"
            )
        if arm.explored is not None:
            parts.append(_study(arm.explored))
    parts += [_study(source) for source in comparison.fixed]
    return "\n\n".join(parts)


def _study(source: Source) -> str:
    study = source.study
    marks = {key: value for key, value in study.fingerprint.items() if key.endswith(("sha256", ".major"))}
    versions = ", ".join(f"{name} {number}" for name, number in study.versions.items())
    return f"study {study.name}: {versions}; {marks}\n{tomli_w.dumps(dict(source.definition))}"
