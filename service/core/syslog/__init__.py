"""Frames to syslog messages, whatever form their sender uses: `parse_message`."""

from service.core.syslog.header import parse_message, recognise
from service.core.syslog.message import SyslogMessage, TimeQuality

__all__ = ["SyslogMessage", "TimeQuality", "parse_message", "recognise"]
