"""The public page: the whole record as static HTML, for any reader, with no account, JavaScript or third party."""

from channels.page.adapter import PageAdapter

__all__ = ["PageAdapter"]
