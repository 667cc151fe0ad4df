"""The listeners that the settings name: built, bound, and given new certificates.

In: settings, and the sockets that are there already. Out: listeners by what they speak; a new
transport is one list more.
"""

from collections.abc import Mapping
from socket import SOCK_DGRAM, SOCK_STREAM

from service.listeners.base import Intake, Listener
from service.listeners.inherited import InheritedSockets
from service.listeners.relp import RelpListener, RelpTlsListener
from service.listeners.tcp import TcpListener
from service.listeners.tls import TlsListener
from service.listeners.tls_config import CERTIFICATE_SETTINGS
from service.listeners.tls_context import Identity, ServerTls
from service.listeners.udp import UdpListener
from service.metrics import Metrics
from service.settings import TLS_TABLES, Settings


class Listeners:
    def __init__(
        self, settings: Settings, intake: Intake, metrics: Metrics, inherited: InheritedSockets
    ) -> None:
        self._settings = settings
        self.server_tls = {
            name: ServerTls(getattr(settings, name))
            for name in TLS_TABLES
            if getattr(settings, name).listen
        }
        """By the name of their table."""
        self.udp = [
            UdpListener(address, settings.udp, intake, metrics, inherited.take(SOCK_DGRAM, address))
            for address in settings.udp.listen
        ]
        self.tcp = [
            TcpListener(
                address, settings.tcp, intake, metrics, inherited.take(SOCK_STREAM, address)
            )
            for address in settings.tcp.listen
        ]
        self.tls = [
            TlsListener(
                address,
                settings.tls,
                intake,
                metrics,
                self.server_tls["tls"],
                inherited.take(SOCK_STREAM, address),
            )
            for address in settings.tls.listen
        ]
        self.relp = [
            RelpListener(
                address,
                settings.relp,
                intake,
                metrics,
                inherited=inherited.take(SOCK_STREAM, address),
            )
            for address in settings.relp.listen
        ]
        self.relp += [
            RelpTlsListener(
                address,
                settings.relp_tls,
                intake,
                metrics,
                self.server_tls["relp_tls"],
                inherited.take(SOCK_STREAM, address),
            )
            for address in settings.relp_tls.listen
        ]
        self.streams = [*self.tcp, *self.tls, *self.relp]
        self.all: list[Listener] = [*self.udp, *self.tcp, *self.tls, *self.relp]

    def take_certificates(self, wanted: Settings, identities: Mapping[str, Identity]) -> None:
        """New connections get `identities`, by table; the settings in use say so then."""
        for table, identity in identities.items():
            if table not in self.server_tls:
                continue  # it did not listen: that needs a restart
            self.server_tls[table].swap(identity)
            news = getattr(wanted, table)
            taken = {name: getattr(news, name) for name in CERTIFICATE_SETTINGS}
            setattr(self._settings, table, getattr(self._settings, table).model_copy(update=taken))


async def bind(listener: Listener) -> None:
    """Raises `OSError`, which names the address."""
    try:
        await listener.start()
    except (OSError, UnicodeError) as error:  # UnicodeError: no host name can be like this
        host, port = listener.address
        raise OSError(f"{listener.transport} {host}:{port}: {error}") from error
