"""How the wheel of softphone is built: find libopus, compile it with DRED, bind it.

Nothing here is installed. ``backend`` is what pip calls (PEP 517); the other
modules do one step each and can be run and tested on their own.
"""
