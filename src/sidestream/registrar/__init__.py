"""Who is where: digest checks of incoming requests, and the bindings of registered users (RFC 3261 §10, §22)."""
