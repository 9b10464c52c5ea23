"""Session descriptions (RFC 8866), offers and answers (RFC 3264). Pure."""
