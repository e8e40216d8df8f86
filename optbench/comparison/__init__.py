"""Compares searches: finds the ones that compare, gives a verdict on each pair, and adds remarks."""
