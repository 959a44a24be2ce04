"""Windows in, laws of trajectories out."""
