"""How the rehearsal checkpoint is made: `python -m asr.rehearsal.training`; see the README.

Nothing here is imported by Viva itself. Torch is in a dependency group of its own, `training`; only
`model`, `losses`, `fitting` and `warm_start` need it.
"""
