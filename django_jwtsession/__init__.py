"""Sessions for Django: fast like a stateless JWT, revocable like a row, listed per device."""

__version__ = "0.1.0"
