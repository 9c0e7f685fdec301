"""An address as a square for the camera of a phone: a QR code as inline SVG."""

from functools import lru_cache
from html import escape
from io import BytesIO

import segno


@lru_cache(maxsize=256)  # drawing one takes some milliseconds
def square(address: str, title: str) -> str:
    """Draw it, dark on light in any colour scheme; "" when the address is longer than such a square can say."""
    try:
        made = segno.make(address, error="m", micro=False)
    except segno.DataOverflowError:
        return ""
    out = BytesIO()
    made.save(
        out,
        kind="svg",
        xmldecl=False,
        svgns=False,
        omitsize=True,
        dark="#000",
        light="#fff",
        border=4,
        lineclass=None,
        svgclass=None,
        nl=False,
    )
    drawn = out.getvalue().decode()
    label = (
        f'<svg class="qr" role="img" aria-labelledby="qr"><title id="qr">{escape(title)}</title>'
    )
    head, _, rest = drawn.partition(">")
    box = head.removeprefix("<svg")
    return label.replace("<svg", f"<svg{box}", 1) + rest
