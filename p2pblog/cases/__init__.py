"""The use cases of one node, a file for each kind; `node.py` puts them together."""
