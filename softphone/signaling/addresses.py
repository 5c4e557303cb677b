"""Addresses of this machine, for people who want to reach it."""

from aioice.ice import get_host_addresses

__all__ = ["ANY_ADDRESS", "reachable_addresses"]

ANY_ADDRESS = ("0.0.0.0", "::")
"""What stands for every address of the machine."""


def reachable_addresses(host: str, limit: int = 4) -> list[str]:
    """Addresses that others may use when we listen on `host`: at most `limit`, at least one."""
    if host not in ANY_ADDRESS:
        return [host]
    found = get_host_addresses(use_ipv4=True, use_ipv6=host == "::")
    return [address for address in found if not address.startswith("fe80")][:limit] or ["127.0.0.1"]
