"""The embedded WebRTC transport: ears, voices and recordings of calls that end in this process."""
