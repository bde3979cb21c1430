"""Makes the switchboard of the settings; only the server's wiring comes here."""

from __future__ import annotations

from collections.abc import Callable

from server.equipment import Equipment
from server.host import CallHost
from server.media.ice import IceSettings
from server.phone.janus.wiring import ACCOUNT, janus_bridge
from server.phone.outbound import policy_of
from server.phone.pins import Pins, pin_key
from server.phone.switchboard import BoardSettings, Switchboard
from server.settings import Settings
from server.store import Store


def switchboard_of(
    settings: Settings, store: Store
) -> Callable[[CallHost, Equipment], Switchboard]:
    """What makes it on the call loop. Raises `SettingsError`."""
    pins = Pins(store, pin_key(settings))
    chosen = BoardSettings(
        ACCOUNT,
        language=settings.phone_language,
        codecs=settings.phone_codecs,
        # The gateway is on this machine: no relay, and the address that its SIP leg has.
        ice=IceSettings(media_ip=settings.phone_address or None),
        policy=policy_of(settings),
    )

    def make(host: CallHost, equipment: Equipment) -> Switchboard:
        return Switchboard(janus_bridge(settings), store, pins, host, equipment, chosen)

    return make
