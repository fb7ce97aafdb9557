"""Several processes on one machine that are one program: a supervisor, a collector, edges.

The supervisor has no clients and no AMI connections. It starts the others, and a Redis if none
is configured, sees to it that they run, and speaks for all of them. A process that is alone
imports nothing of this.

supervisor.py   what is run in the place of a server
team.py         the processes that there are to be, and what all are asked at once
keeper.py       keeps one of them running
process.py      a process that was started: of the program, by its channel
channel.py      questions and answers between the supervisor and one process
handover.py     what a process is given: its configuration, its place
child.py        the other end: a process that the supervisor has started
privateredis.py the Redis of this machine
ports.py        ports that all edges listen at
spread.py       an edge with too many connections hands new ones to another
totals.py       metrics, added up
"""
