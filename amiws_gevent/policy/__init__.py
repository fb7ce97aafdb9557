"""Who may see and do what: roles of the configuration to rights, as pure values.

`Policy.rights` gives the `Rights` of a client. Nothing here knows sockets, files or greenlets.
"""

from amiws_gevent.policy.model import Role, Rule, See, User
from amiws_gevent.policy.policy import Policy, Refusal, Rights
from amiws_gevent.policy.sight import Sight

__all__ = ["Policy", "Refusal", "Rights", "Role", "Rule", "See", "Sight", "User"]
