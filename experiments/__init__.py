"""One file an experiment: a dataclass of arguments, then the run from top to bottom."""
