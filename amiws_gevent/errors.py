"""Every error that this program raises on purpose.

    AmiwsError                  whatever is below
      StartError                the program cannot start or go on; has an exit status
        UsageError              2: a mistake on the command line
        ConfigError             78: the configuration (defined in config, adds its problems)
        UsersFileError          73: the htdigest file cannot be changed as --passwd asks
        PidFileError            73: the pid file is locked or cannot be written
        ListenError             71: a port in use, a certificate that cannot be loaded
        AuditError              73: the audit or its key cannot be made, or must not be used
        MissingLibraryError     69: a library, or redis-server, that a collector or an edge needs
      NotConnected              an action for a server that is not connected
      ConnectionLost            the connection ended before a query of ours was answered
      SendBufferFull            a server reads actions more slowly than clients send them
      ActionError               an action of a client that cannot be sent (defined in ami.actions)
      ActionProblem             a request that is not done, with its code (defined in actions)

Split only where recovery differs: a StartError ends the program (or refuses a
reload), the others are answered to the client that asked. ConnectionLost is no
NotConnected, after which asking again does nothing twice.
"""

from __future__ import annotations


class AmiwsError(Exception):
    """Base of all errors raised on purpose; ``str()`` is fit for a person."""


class StartError(AmiwsError):
    """The program cannot start (or apply a reload). ``exit_status`` follows sysexits.h."""

    exit_status = 1


class UsageError(StartError):
    exit_status = 2


class PidFileError(StartError):
    exit_status = 73


class MissingLibraryError(StartError):
    exit_status = 69  # EX_UNAVAILABLE


class UsersFileError(StartError):
    exit_status = 73


class ListenError(StartError):
    exit_status = 71


class AuditError(StartError):
    exit_status = 73


class NotConnected(AmiwsError):
    """The server that an action is for has no logged-in AMI connection."""


class ConnectionLost(AmiwsError):
    """The connection ended before the answer was complete: what was asked may be done or not."""


class SendBufferFull(AmiwsError):
    """The server does not read: its bounded send buffer has no room for the action."""
