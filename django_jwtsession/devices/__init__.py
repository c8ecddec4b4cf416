"""Who asks: the address, the user agent in words, where a session was seen."""
