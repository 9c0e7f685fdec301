"""SMS by gateways that are called over HTTP."""

from channels.sms_http.adapter import SmsHttpAdapter

__all__ = ["SmsHttpAdapter"]
