"""Figures of training and of many runs."""
