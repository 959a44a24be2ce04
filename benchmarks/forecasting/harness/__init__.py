"""The forecasting benchmark: protocols, models, scores, result files; `run.py` commands it."""
