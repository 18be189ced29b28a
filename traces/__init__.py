"""Recorded and generated workloads: jobs as their users asked for them, and how long they truly ran."""
