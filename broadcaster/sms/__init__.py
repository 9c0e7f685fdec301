"""What every channel of SMS says and to whom, however it is carried: the text, its count and cost, and numbers."""

from broadcaster.sms.adapter import SmsAdapter, SmsSettings, is_international

__all__ = ["SmsAdapter", "SmsSettings", "is_international"]
