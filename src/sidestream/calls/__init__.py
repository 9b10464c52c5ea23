"""Calls: legs and the bridge between them, the TwiML interpreter with its verbs, the streams, and the front."""
