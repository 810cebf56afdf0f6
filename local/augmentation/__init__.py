"""Training chunks to changed ones: noise, rooms, voices, lines, masks."""
