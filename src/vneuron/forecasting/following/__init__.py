"""Forecasts that follow what recent ones have missed by: errors, level, spread."""
