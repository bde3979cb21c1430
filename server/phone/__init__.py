"""The phone: the same interview over SIP. The rules of telephony know no gateway."""
