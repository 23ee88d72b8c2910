"""Figures of decoded positions."""
