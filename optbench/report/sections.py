"""The list of the report's sections."""

from collections.abc import Sequence

from optbench.comparison.arms import Comparison
from optbench.comparison.rows import Row
from optbench.comparison.verdict import Pair
from optbench.report import (
    budget_section,
    curve_sections,
    finals_section,
    search_sections,
    speed_sections,
    stages_section,
    verdict_section,
)
from optbench.report.model import Section


def sections(comparison: Comparison, rows: Sequence[Row], pairs: Sequence[Pair]) -> list[Section]:
    """Every section of the page, in order; those that have nothing to show are left out."""
    arms = comparison.arms
    margin = pairs[0].margin if pairs else None
    found = [
        verdict_section.verdict(comparison, pairs),
        verdict_section.in_mind(comparison),
        stages_section.stages(comparison, rows, margin),
        finals_section.finals(arms),
        curve_sections.learning(comparison),
        budget_section.budgets(arms),
        speed_sections.traces(arms),
        *search_sections.spaces(arms),
        search_sections.rate_and_epsilon(arms),
        search_sections.importance(arms),
        curve_sections.effective_learning_rates(comparison),
        speed_sections.targets(arms),
        search_sections.pruning(arms),
        search_sections.repeats(arms),
    ]
    return [section for section in found if section is not None]
