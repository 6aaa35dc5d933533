"""Contestants: each does the same cases in its own way.

A contestant's method of a case prepares what is not to be timed and returns what is. A case
that it has no method for it cannot do.
"""
