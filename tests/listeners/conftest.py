"""Certificates for all tests of TLS: of an authority, of the receiver, of senders."""

import pytest

from tests.listeners.certificates import Site


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return Site.build(tmp_path_factory.mktemp("certificates"))
