"""Rooms: several people, browsers and softphones, who talk to each other."""
