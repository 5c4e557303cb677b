"""Side by side with NetEq: the same packets through the same network into several receivers.

`python -m benchmarks.neteq --help`; the method is described in docs/neteq.md.
"""
