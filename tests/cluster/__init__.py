"""Clusters of databases on loopback, a mixed load, and a checker that proves the promises after it.

`make test-cluster` runs these; they need root and Debian's packages (.ci/cluster installs them).
"""
