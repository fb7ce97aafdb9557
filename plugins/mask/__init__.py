"""Redacts and shortens callers' numbers and names, card numbers, passwords and other headers.

Clients and plugins that log get the masked messages; nobody gets the others. It
is required: a message that it fails on is dropped. Most sites need one or two
of its ready-made sets::

    plugins:
    - mask:
        callers: last4        # numbers as *******0199, names as ***
        dialled: last4        # the same for numbers that were dialled
        cards: redact         # card numbers, told by their check digit
        variables: [PIN, "*PASSWORD*", "CARD*"]

A style is ``redact`` (a fixed text), ``lastN`` or ``firstN`` (so many characters are still
shown, never more than half of them), ``hash`` (clients can tell callers apart, see
below) or ``keep``.

``callers``
    One style for both, or ``{numbers: last4, names: first1}``. With a word like
    ``last4`` names are redacted. Covered, in all Asterisk versions from 1.8 to 23:

    - ``CallerIDNum``, ``CallerIDName``, ``ConnectedLineNum``, ``ConnectedLineName`` with each
      prefix (``Dest…``, ``Transferer…``, ``LocalOne…``, ``Effective…``), ``CallerID``,
      ``CallerIDani``, ``CallerIDrdnis``, ``CallerID1``, those of MCID, CDR and fax events;
    - **numbers of 6 digits or more** (``shortest``) in every other header, since
      Asterisk puts numbers into names of channels and devices
      (``Local/49305550199@out-00000001;1``), ``AppData``, ``Value``, ``ChanVariable(…)``,
      ``Interface``, the output of commands and unknown text; one that begins with ``+``
      also if it is written with blanks, dots or dashes;
    - names of the message's own callers where they come again in its free texts
      (``AppData``, ``Value``, ``UserField``, headers of a ``UserEvent`` …), what
      ``Set(CALLERID(name)=…)`` sets, and ``Caller ID Name:`` in command output.

``dialled``
    Numbers of 6 digits or more in ``Exten``, ``Extension``, ``DNID``, ``DialString``,
    ``Destination``, with each prefix. Without it these show what was dialled, but for
    the message's own callers. On an outbound call the number dialled is the
    *caller* of the ``Dest…`` headers, and part of channels' names: to hide it
    everywhere set both, ``callers`` and ``dialled``.

``cards``
    13 to 19 digits with a valid check digit (Luhn), with or without single blanks or
    dashes between groups, in all headers.

``variables``
    Values of variables, by name or glob: ``VarSet``, answers to ``Getvar``, ``Variable`` and
    ``ChanVariable`` as ``NAME=value``, ``Set(NAME=value)`` in ``AppData``, AGI's ``SET VARIABLE``,
    lines of configuration and of command output, headers of a ``UserEvent``. ``_NAME``,
    ``__NAME``, ``GLOBAL(NAME)`` are the same variable. In a text that holds more than the
    one value all to the end of the line is redacted.

Rules are for all else, and for exceptions; they are asked first, from the top::

    - mask:
        callers: {numbers: hash, names: redact}
        key_file: /etc/amiws/mask.key         # openssl rand -hex 32 > /etc/amiws/mask.key
        rules:
        - headers: [Queue, QueueName]         # names or globs, in any case
          action: keep                        # the presets leave these alone
        - headers: "*AccountCode"
          action: remove                      # or redact, hash, last4, first2
        - headers: MemberName
          keep_first: 2
          keep_last: 2                        # Jo********on
        - headers: Digit
          events: "DTMF*"                     # without it: all kinds of message
          servers: [pbx1, 7]                  # names, globs or ids; without it: all
          text: "-"                           # instead of ***
        - variables: "*_TOKEN"
          action: hash
        - pattern: "(?:IBAN )([A-Z0-9]{15,34})"   # in all headers; its group is masked,
          keep_last: 4                        # or all that it finds if it has none
        - headers: AppData
          pattern: "[0-9]{13,19}"
          luhn: true                          # only with a valid check digit
        text: "***"                           # stands for what is redacted
        fill: "*"                             # for each hidden character
        shortest: 6                           # digits; shorter numbers are extensions
        hash_length: 12                       # letters

The first rule that names a header decides, and no preset is asked; one with a
``pattern`` masks what it finds and goes on to the next. Several patterns apply in
their order. ``Event``, ``Response`` and ``ActionID`` are never masked.

A hash is HMAC-SHA256 with your key, shortened, in letters: ``#hbfglkadijpo``. The same
number has the same hash on all servers and after a restart, with the same key.
``+1 (514) 555-0199`` and ``15145550199`` have the same. SIGHUP reads ``key_file`` again.

**The live state** is masked as events are: each field by the rules and presets for the header
that it comes from (``entities.py`` beside this file has the table; ``caller_number`` of a
channel is a ``CallerIDNum``, ``dialled`` of a call an ``Exten``), last words as well. A rule for
some ``events`` masks there too; one that keeps does not keep there. What names an entity stays,
or clients could not tell one from another: numbers remain in ids that have one, such as those
of a member or device (``support|Local/0301234567@out``), a hint (``0301234567@default``), a
contact, a peer, and a participant of whom only lists of Asterisk 11 tell.

What to know:

- ``server:`` in a rule is an older name of ``servers:``.
- Extensions (``302``) stay, so that a client can tell who talks to whom. With
  ``shortest: 1`` they go too, and with them every other digit of a channel's name.
- All of ``<unknown>``, ``anonymous`` and the like stay: they say that there is nothing.
- Told apart from telephone numbers, and left: ``Uniqueid`` (``1795371260.16``), UUIDs, times,
  RTP statistics, ``…-0000001a;1`` at the end of channel names. Any other long number
  in a text is masked, also if it was none.
- **Not covered**: agents' names (``MemberName``, ``Name``), callers' names in output
  of commands other than ``core show channel``, numbers with blanks or dashes that do not
  begin with ``+`` (in a header for callers they are masked all the same), card
  numbers that other digits touch, keys of DTMF (a rule for ``Digit`` does), JSON and
  URL-encoded names inside of values, what a client put into an ``ActionID`` or the dialplan
  into the name of an event.
- Past these bounds a message is not searched but redacted: texts past 800,000
  characters (some 5,000 lines of command output), free texts of a message that names more than
  64 callers, or names them more than 1,000 times. Of a response of more than 2,000 headers
  (``Getconfig`` of a long file) the rest is left out.
- A client that acts on a channel by its masked name gets ``No such channel`` of Asterisk.
  Keep ``Channel`` by a rule where clients hang up or redirect such calls.
- A regular expression of yours sees each line of a value by itself; a line of over
  1,024 characters is redacted as a whole, unseen. Expressions that could take for
  ever are refused where that can be told (a repeat inside a repeat).
"""

from __future__ import annotations

from amiws_plugins.mask.entities import masked_entity
from amiws_plugins.mask.plans import Masker
from amiws_plugins.mask.settings import Settings

from amiws_gevent.ami import Message
from amiws_gevent.plugins import Entity, PluginContext, ServerInfo


class Plugin:
    """Masks messages, and entities of the live state, on their way to clients and logs."""

    REQUIRED = True

    def __init__(self) -> None:
        self._settings: Settings
        self._masker: Masker

    def amiws_settings(self) -> type[Settings]:
        """The settings described above."""
        return Settings

    def amiws_startup(self, context: PluginContext) -> None:
        """Make the rules ready; reads the key file."""
        self._settings = context.settings
        self._masker = Masker(self._settings)

    def amiws_reload(self) -> None:
        """Read the key file again. If it is no longer there, the old key stays."""
        self._masker = Masker(self._settings)

    def amiws_transform_message(self, message: Message, server: ServerInfo) -> Message | None:
        """The masked message; None where there is nothing to mask."""
        return self._masker.masked(message, server)

    def amiws_transform_entity(self, entity: Entity, server: ServerInfo) -> Entity | None:
        """The masked entity; None where there is nothing to mask."""
        return masked_entity(self._masker, entity, server)
