"""Actions of clients that are answered: each client gets the answers to its own, whole.

problems.py      why a request is not done: the codes and their HTTP status
request.py       from a client's JSON object to a checked request
permission.py    whether the rights of the client allow it
service.py       whether it may be sent, and what each server has answered
run.py           a request that is under way, and who waits for its replies
reply.py         what became of it on one server
idempotency.py   the first replies again for who asks again with the same key
"""

from .problems import PROBLEMS, ActionProblem
from .reply import OUTCOMES, Reply
from .request import ActionRequest
from .run import Submission
from .service import MOST_OF_A_CLIENT, ActionService

__all__ = [
    "MOST_OF_A_CLIENT",
    "OUTCOMES",
    "PROBLEMS",
    "ActionProblem",
    "ActionRequest",
    "ActionService",
    "Reply",
    "Submission",
]
