"""What people say about adjoints, each sentence with a measurement and a computed verdict.

A subject's file holds its claims, the thresholds beside each, and the functions that measure;
:mod:`.judges` decide, :mod:`.tasks` measure in processes of their own.
"""
