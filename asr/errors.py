"""What can go wrong with hearing: one small tree, in sentences an operator can act on."""


class HearingError(Exception):
    """Any fault of this package."""


class UnknownModel(HearingError):
    """The name is neither a model we know, nor `owner/name`, nor a folder."""


class ModelMissing(HearingError):
    """The model is known but not on this machine; the message says how to get it."""


class ModelDamaged(HearingError):
    """Files of the model are missing, changed or unreadable."""


class DeviceUnavailable(HearingError):
    """The device that was asked for cannot compute here."""


class UnknownLanguage(HearingError):
    """The model has no token for this language."""


class RecognitionFailed(HearingError):
    """The engine could not recognise this piece of audio."""


class Overloaded(RecognitionFailed):
    """More audio is waiting than this machine recognises in time."""


class NoAnswer(RecognitionFailed):
    """It was waited for as long as is of use: asking again would only take as long again."""


class AtCapacity(HearingError):
    """One more session would be heard badly, and so would the others: later, or elsewhere."""


class UnreadableRecording(HearingError):
    """A file is no recording that can be read; the message says what is wrong with it."""


class ServiceUnavailable(HearingError):
    """No recogniser can be used at the address that was given."""
