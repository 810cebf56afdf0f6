"""A module a subject, each with `measure(options)`, which returns a `tables.Table`."""
