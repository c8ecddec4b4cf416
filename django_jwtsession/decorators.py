"""What views are decorated with, and the mixin for class-based ones."""

from __future__ import annotations

from .pages.stepup import FreshLoginMixin, fresh_login

__all__ = ["FreshLoginMixin", "fresh_login"]
