"""Playout policies that come with softphone."""
