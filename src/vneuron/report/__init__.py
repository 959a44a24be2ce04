"""The page about a run: reads a run folder only, never a model."""
