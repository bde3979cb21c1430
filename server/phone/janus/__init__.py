"""Janus as the gateway: a process of its own, with SIP on one side and WebRTC on the other."""
