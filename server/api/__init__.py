"""The HTTP and WebSocket API: candidates with an invite, operators with the API key."""
