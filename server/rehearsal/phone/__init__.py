"""The rehearsal by telephone: a network of its own, a registrar, and a caller."""
