"""Figures of what units are tuned to."""
