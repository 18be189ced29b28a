"""The ledger, the session, the simulated world, and their Gymnasium face."""
