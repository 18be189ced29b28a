"""Laws of nature of the simulated world, one file each. Each can be switched on by itself."""
