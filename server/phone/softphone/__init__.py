"""A SIP telephone of our own (UDP, G.711): a caller for tests, the rehearsal, `viva phone test`."""
