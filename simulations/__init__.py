"""Networks of p2pblog nodes on one machine."""
