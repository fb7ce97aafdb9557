"""The audit trail: who did what, in files that show later changes.

redaction.py  what of an action is kept
records.py    what is told of an action, a login, a reload: plain data to JSON
chain.py      lines that prove each other: their form, and the code at the end of each
verify.py     what is wrong with the lines of some files
files.py      the file and its key: opened with care, continued, finished, removed
ledger.py     appends records to the file, and begins new ones; runs in a thread
writer.py     gives records to that thread, many at once, and tells who waits
recent.py     the last ones, for people
trail.py      what the rest of the program has of all this
awaited.py    which answers belong to actions of the classic socket
check.py      ``--audit-verify``
"""
