"""The ledger, the session, the simulated world, and their Gymnasium face (importing this registers it)."""

from .register import register

register()
