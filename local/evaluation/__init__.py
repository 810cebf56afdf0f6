"""Scores to figures."""
