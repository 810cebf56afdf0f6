"""Processes, signals, locks, and what the processor is good at."""
