"""What a person reads: each document of the control socket as a page of lines, from values alone."""
