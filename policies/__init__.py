"""Policies: published orders, backfilling, preemption, and the learned one."""
