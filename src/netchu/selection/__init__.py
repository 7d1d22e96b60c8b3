"""Members and settings chosen on held-out lines, within limits of bytes and time."""
