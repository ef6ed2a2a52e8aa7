"""`python -m p2pblog`."""

from p2pblog.cli import main

main()
