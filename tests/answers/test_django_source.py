"""Django's methods that we replace: their source is what it was when it was read last.

A method that differs may have got a security fix: read the difference, carry over what ours needs,
and then put its digest here.
"""

from __future__ import annotations

import hashlib
import inspect
import textwrap
from typing import Any

import pytest
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.middleware import SessionMiddleware
from django.http.response import HttpResponseBase
from django.utils.deprecation import MiddlewareMixin

# What is replaced, and the digests that were read: of Django 5.2, 6.0 and 6.1, one where they are
# the same.
READ: dict[Any, set[str]] = {
    SessionMiddleware.__init__: {"c411a4d0bab2e793"},
    SessionMiddleware.process_request: {"75aa45f3ac970a90"},
    SessionMiddleware.process_response: {"6c7ba28c4b9f3d93"},
    MiddlewareMixin.__init__: {"1f92aed85c68cade"},
    MiddlewareMixin.__call__: {"84f3fb5d6d1fdc78"},
    MiddlewareMixin.__acall__: {"5c839eda8e410120"},
    AuthenticationMiddleware.process_request: {"c8bcdfb9e426c9a6"},
    HttpResponseBase.set_cookie: {"6cd85b71c9a6ca42", "a548bb3fbbd6b1fd"},
    HttpResponseBase.delete_cookie: {"d74b34183b6668a3"},
    SessionBase.__init__: {"02c45be88911b693"},
    SessionBase._get_session: {"61460fd7a2d2e767"},
    SessionBase._aget_session: {"bed43f019964366f"},
    SessionBase.is_empty: {"00b88320f26605e1"},
    SessionBase.get_expiry_age: {"89414b66ebd91410"},
    SessionBase.flush: {"94586bcc750511bf"},
    SessionBase.aflush: {"49b58ec60532c1f8"},
    SessionBase._set_session_key: {"2798ac1f073800c6"},
    SessionStore.load: {"44153db0d22eb72a"},
    SessionStore.aload: {"2c9d1534630efe99"},
    SessionStore.exists: {"5e878c2e7a211469"},
    SessionStore.create: {"ce30dbfe039caa74"},
    SessionStore.save: {"cc398a8f4a28da54"},
    SessionStore.asave: {"d2149d8a0d377b94", "ca74457e75ab5cc3"},
    SessionStore.delete: {"d9b87758f0e8e5b1"},
    SessionStore.create_model_instance: {"a37416a3de3a9d57"},
    SessionStore.clear_expired: {"ec2b9d27ba838af1"},
}


def digest(function: Any) -> str:
    source = textwrap.dedent(inspect.getsource(function))
    return hashlib.sha256(source.encode()).hexdigest()[:16]


@pytest.mark.parametrize("function", READ, ids=lambda function: function.__qualname__)
def test_source_is_what_was_read(function: Any) -> None:
    found = digest(function)
    assert found in READ[function], f"{function.__qualname__} has changed in Django: {found}"


def test_digest_tells_two_methods_apart() -> None:
    assert digest(SessionBase.flush) != digest(SessionBase.aflush)
