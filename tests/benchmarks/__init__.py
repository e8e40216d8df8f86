"""Measurements, each with its own command; none is part of the test run."""
