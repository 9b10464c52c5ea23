"""The console: pages that show what calls, their Siprecs and their callbacks did. `routes.create_console` is the door.

It only reads, and only what belongs to the account that signed in.
"""
