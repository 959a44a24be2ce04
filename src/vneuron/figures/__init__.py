"""Frames and arrays in, plotly figures out; one file per kind of figure."""
