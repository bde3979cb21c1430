"""The recogniser as a service: one model in one process, for workers elsewhere (docs/asr.md).

`protocol` is what both sides say, `server` is `viva asr`, `client` is what a worker uses in place
of `asr.engine.Engine`. Nothing here knows LiveKit.
"""
