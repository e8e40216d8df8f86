"""Statistics as pure functions on numbers. docs/statistics.md has their formulas and papers."""
