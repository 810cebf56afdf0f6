"""The report of a verification: one HTML page, complete in itself."""
