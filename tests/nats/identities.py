"""NKeys and JWTs as `nsc` makes them: an operator, an account, a user with a credentials file."""

import base64
import json
import os
from typing import Any

import nkeys  # type: ignore[import-untyped]


class Identity:
    def __init__(self, kind: int = nkeys.PREFIX_BYTE_USER) -> None:
        self.seed: str = nkeys.encode_seed(os.urandom(32), kind).decode()
        self.public: str = nkeys.from_seed(self.seed.encode()).public_key.decode()

    def sign(self, subject: "Identity", name: str, nats: dict[str, Any]) -> str:
        """A JWT for `subject`, issued by this one."""
        claims = {
            "jti": name,
            "iat": 1_700_000_000,
            "iss": self.public,
            "name": name,
            "sub": subject.public,
            "nats": {**nats, "version": 2},
        }
        text = f"{_encode({'typ': 'JWT', 'alg': 'ed25519-nkey'})}.{_encode(claims)}"
        signature = nkeys.from_seed(self.seed.encode()).sign(text.encode())
        return f"{text}.{_base64(signature)}"


class Operator:
    """`server_settings` for nats-server, `creds` for its user."""

    def __init__(self) -> None:
        operator = Identity(nkeys.PREFIX_BYTE_OPERATOR)
        account = Identity(nkeys.PREFIX_BYTE_ACCOUNT)
        self.user = Identity()
        no_limit = dict.fromkeys(("subs", "data", "payload", "imports", "exports", "conn"), -1)
        account_jwt = operator.sign(
            account,
            "A",
            {"type": "account", "limits": {**no_limit, "leaf": -1, "wildcards": True}},
        )
        self.jwt = account.sign(
            self.user,
            "U",
            {"type": "user", "pub": {}, "sub": {}, "subs": -1, "data": -1, "payload": -1},
        )
        self.server_settings: dict[str, Any] = {
            "operator": operator.sign(operator, "O", {"type": "operator"}),
            "resolver": "MEMORY",
            "resolver_preload": {account.public: account_jwt},
            "jetstream": None,  # it needs a system account, which shows nothing more here
        }

    @property
    def creds(self) -> str:
        return creds(self.jwt, self.user.seed)


def creds(jwt: str, seed: str) -> str:
    return (
        f"-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n"
        "************************* IMPORTANT *************************\n\n"
        f"-----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
    )


def _encode(value: dict[str, Any]) -> str:
    return _base64(json.dumps(value).encode())


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


ADMIN = {"user": "admin", "password": "p"}


def only(*users: dict[str, Any]) -> dict[str, Any]:
    """`authorization` of a server that lets in nobody else."""
    return {"users": list(users)}
