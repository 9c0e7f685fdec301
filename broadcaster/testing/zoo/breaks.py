"""A module that raises when it is imported."""

raise RuntimeError("a table is missing")
