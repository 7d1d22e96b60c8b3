"""Command lines that need several packages."""
