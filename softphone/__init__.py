"""A voice endpoint that keeps a conversation whole on a network that loses a third of its packets."""
