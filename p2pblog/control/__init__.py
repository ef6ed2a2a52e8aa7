"""The control socket: what the daemon answers to its own person's command line."""
