"""Frames and files in, windows out: reading, checking, splitting, scaling, gathering."""
