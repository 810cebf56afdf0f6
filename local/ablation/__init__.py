"""One setting file to many trainings, side by side, and to what their figures say."""
