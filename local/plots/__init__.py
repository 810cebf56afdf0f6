"""Pictures of scored trials, and how they are kept."""
