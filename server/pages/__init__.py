"""Pages for candidates and recruiters: HTML that works by itself, to which scripts add sound."""
