"""The door to the media engine: the protocol class, its client over the local socket, and the engine's supervisor."""
