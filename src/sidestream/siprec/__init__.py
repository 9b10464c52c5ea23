"""SIPREC (RFC 7866, 7865): metadata, message bodies, the client machine and the server rules. Pure."""
