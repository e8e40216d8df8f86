"""Benchmarks, each with its own command. None is part of the test run."""
