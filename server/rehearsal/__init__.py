"""A whole interview held by one machine with itself: candidate, checks, kills."""
