"""Settings of every TLS listener, in rsyslog's own words."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, SecretStr, model_validator

from service.address import split_commas
from service.listeners import peers
from service.listeners.config import StreamConfig

AuthMode = Literal["anon", "x509/certvalid", "x509/name", "x509/fingerprint"]


class TlsStreamConfig(StreamConfig):
    """TLS 1.2 or later. All but `listen` and the limits is taken over at a reload."""

    cert_file: Path | None = Field(
        None, description="Our certificate and its chain, PEM. Needed to listen."
    )
    key_file: Path | None = Field(
        None, description="Private key of `cert_file`, PEM. Needed to listen."
    )
    key_password: SecretStr | None = Field(
        None, description="Password of `key_file`, where it is encrypted."
    )
    key_password_file: Path | None = Field(
        None, description="File that holds the password of `key_file`."
    )
    ca_file: Path | None = Field(
        None, description="Authorities that vouch for clients, PEM. For `x509/certvalid`, `/name`."
    )
    auth_mode: AuthMode = Field(
        "x509/certvalid",
        description="`anon`: no client certificate is asked for; `x509/certvalid`: any that "
        "`ca_file` vouches for; `x509/name`: of those, one with a name in `permitted_peers`; "
        "`x509/fingerprint`: one in `permitted_peers`, whoever signed it and whatever its dates.",
    )
    permitted_peers: Annotated[list[str], BeforeValidator(split_commas)] = Field(
        default_factory=list,
        description="Names, as `mx1.example.net`, `*.example.net`, or fingerprints, as "
        "`SHA256:AA:BB:...`, by `auth_mode`.",
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.key_password is not None and self.key_password_file is not None:
            raise ValueError("give key_password or key_password_file, not both")
        for peer in self.permitted_peers:
            self._check_peer(peer)
        if self.listen:
            self.check_to_listen()
        return self

    def check_to_listen(self) -> None:
        """What must be there, and what must not, where somebody listens; a socket that was handed
        over may do so without `listen`. Raises `ValueError`."""
        if self.cert_file is None or self.key_file is None:
            raise ValueError("cert_file and key_file are needed to listen")
        needs_ca = self.auth_mode in ("x509/certvalid", "x509/name")
        if needs_ca and self.ca_file is None:
            raise ValueError(
                f"ca_file is needed with auth_mode {self.auth_mode}; anon asks for no certificate"
            )
        if not needs_ca and self.ca_file is not None:
            raise ValueError(f"ca_file means nothing with auth_mode {self.auth_mode}")
        names_peers = self.auth_mode in ("x509/name", "x509/fingerprint")
        if names_peers and not self.permitted_peers:
            raise ValueError(f"permitted_peers is needed with auth_mode {self.auth_mode}")
        if not names_peers and self.permitted_peers:
            raise ValueError(f"permitted_peers means nothing with auth_mode {self.auth_mode}")

    def _check_peer(self, peer: str) -> None:
        if peers.is_fingerprint(peer):
            peers.fingerprint(peer)
            if self.auth_mode == "x509/name":
                raise ValueError(f"{peer}: a fingerprint needs auth_mode x509/fingerprint")
        else:
            peers.name_pattern(peer)
            if self.auth_mode == "x509/fingerprint":
                raise ValueError(f"{peer}: a name needs auth_mode x509/name")


CERTIFICATE_SETTINGS = tuple(
    name for name in TlsStreamConfig.model_fields if name not in StreamConfig.model_fields
)
"""What a reload takes over."""
