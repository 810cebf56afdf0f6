"""A model and a manifest to embeddings, and their files."""
