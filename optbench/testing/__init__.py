"""Contract suites: tests for other implementations of what optbench expects."""
