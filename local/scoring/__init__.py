"""Embeddings and trials to scores."""
