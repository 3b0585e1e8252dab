"""The HTTP API: one file an area, a table of all operations in `routes`."""
