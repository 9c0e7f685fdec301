"""The residents' front door: subscribe, confirm, change, leave, be forgotten; by plain pages and forms, without a cookie."""

from broadcaster.inbound.following.door import FollowDoor

__all__ = ["FollowDoor"]
