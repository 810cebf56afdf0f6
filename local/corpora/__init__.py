"""One module a corpus: each writes the documented label and trial files."""
