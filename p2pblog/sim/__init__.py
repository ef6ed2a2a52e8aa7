"""The simulator: the shipped machines of thousands of nodes, one virtual clock, one seed, one result."""
