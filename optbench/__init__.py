"""Honest hyperparameter sweeps of optimizers: many small networks trained in one compiled step."""

__version__ = "0.1.0"
