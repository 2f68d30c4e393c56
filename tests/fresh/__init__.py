"""
The project in bare Debian systems, one per Python: what a newcomer meets, with nothing of this machine but its network.

`make test-fresh`, as root, tries the last commit in each of SUITES; see README.md.
"""
