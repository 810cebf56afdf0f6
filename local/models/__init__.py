"""The network: front ends, poolings, the embedding extractor and its losses. Tensors only."""
