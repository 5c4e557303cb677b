"""A call between two processes of this machine over an emulated network, and its report."""
