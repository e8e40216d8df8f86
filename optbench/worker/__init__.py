"""The worker: trains the trials of a study, reports what happens as typed events, and stops when it is asked to."""
