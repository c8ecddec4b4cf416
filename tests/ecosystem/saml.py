"""A service provider and its identity provider, as pysaml2 has them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from saml2 import BINDING_HTTP_POST, BINDING_HTTP_REDIRECT
from saml2.config import SPConfig

_METADATA = """<?xml version="1.0"?>
<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" entityID="https://idp.example">
<md:IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">
<md:SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"
 Location="https://idp.example/sso"/>
</md:IDPSSODescriptor></md:EntityDescriptor>"""


def config(request: Any = None) -> SPConfig:
    """Return the configuration of the service provider."""
    made = SPConfig()
    made.load(
        {
            "entityid": "http://testserver/saml2/metadata/",
            "xmlsec_binary": str(Path(__file__)),
            "service": {
                "sp": {
                    "endpoints": {
                        "assertion_consumer_service": [
                            ("http://testserver/saml2/acs/", BINDING_HTTP_POST)
                        ],
                        "single_logout_service": [
                            ("http://testserver/saml2/ls/", BINDING_HTTP_REDIRECT)
                        ],
                    },
                    "authn_requests_signed": False,
                }
            },
            "metadata": {"inline": [_METADATA]},
        }
    )
    return made
