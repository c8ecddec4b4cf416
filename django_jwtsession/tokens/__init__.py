"""Session tokens: bytes to claims and back (RFC 7515-7519). Imports no Django."""
