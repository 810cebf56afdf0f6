"""Lists to manifests, manifests to batches."""
