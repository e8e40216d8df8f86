"""Contract suites, for whoever writes another implementation of what optbench expects."""
