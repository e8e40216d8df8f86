"""Compares searches: finds what compares, judges it, and says what to know beside the verdict."""
