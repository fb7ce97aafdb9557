"""The AMI protocol: bytes in, messages out. No I/O."""

from .actions import (
    OWN_ACTION_ID,
    ActionError,
    ClientAction,
    encode_action,
    error_response,
    holding_time,
    parse_client_action,
)
from .answers import BROADCASTS, has_action_id, is_answer, may_be_answer
from .events import MOST_HEADERS
from .framing import Parser
from .jsonform import encode_message, envelope_prefix
from .messages import Kind, Message, Value
from .packets import Counters

__all__ = [
    "BROADCASTS",
    "MOST_HEADERS",
    "OWN_ACTION_ID",
    "ActionError",
    "ClientAction",
    "Counters",
    "Kind",
    "Message",
    "Parser",
    "Value",
    "encode_action",
    "encode_message",
    "envelope_prefix",
    "error_response",
    "has_action_id",
    "holding_time",
    "is_answer",
    "may_be_answer",
    "parse_client_action",
]
