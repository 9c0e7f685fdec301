"""What a form carries to show that a person had it open: a time, signed. It is no secret and belongs to nobody."""

from __future__ import annotations

from datetime import datetime

from broadcaster.store.addresses import AddressVault

QUICKEST = 2
LONGEST = 2 * 3600


def seal(vault: AddressVault, now: datetime) -> str:
    """For a form that is shown now."""
    at = str(int(now.timestamp()))
    return f"{at}.{vault.proof('form', at)}"


def is_good(vault: AddressVault, sealed: str, now: datetime) -> bool:
    """Whether a form was shown by us, two seconds to two hours ago."""
    at = _shown_at(vault, sealed)
    return at is not None and QUICKEST <= now.timestamp() - at <= LONGEST


def kept(vault: AddressVault, sealed: str, now: datetime) -> str:
    """What the form shown again carries: what it carried, so that who was quick need not wait anew; or a new one."""
    at = _shown_at(vault, sealed)
    young = at is not None and 0 <= now.timestamp() - at < QUICKEST
    return sealed if young else seal(vault, now)


def _shown_at(vault: AddressVault, sealed: str) -> int | None:
    at, _, proof = sealed.partition(".")
    if not (at.isascii() and at.isdecimal() and len(at) <= 12):
        return None
    return int(at) if vault.proves(proof, "form", at) else None
