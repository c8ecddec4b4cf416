"""Sessions for Django: fast like a stateless JWT, revocable like a row, listed per device."""

__version__ = "1.0.0rc1"
