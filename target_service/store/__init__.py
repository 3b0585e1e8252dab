"""What survives a power cut: one contract (`base`), kept by SQLite and PostgreSQL."""
