"""A signed copy of the public files in another place: S3 storage, an SFTP server, a second directory."""

from channels.mirror.adapter import MirrorAdapter

__all__ = ["MirrorAdapter"]
