"""The session recording client of RFC 7866: `session.SrcSession`, what it wants done and what it reports."""
