"""Recordings: found, checked, read, packed."""
