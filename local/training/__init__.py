"""The general part of a Brain, checkpoints, schedules, the train log."""
