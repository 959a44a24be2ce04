"""Vitals: what is measured on units, and what it says about their health."""
