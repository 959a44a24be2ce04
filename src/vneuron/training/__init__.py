"""Training runs: the folder they write, their event log, checkpoints and vitals over time."""
