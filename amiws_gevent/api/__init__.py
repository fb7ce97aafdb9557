"""The HTTP API under ``/api/v1/``: state and events to read, streams to listen to, actions.

operations.py    what can be asked: paths, parameters, answers; the one table of all
models.py        the forms of requests and answers
openapi.py       the OpenAPI document, made of both
page.py          the reference page, made of that
streams.py       Server-Sent Events
waiting.py       an action, until all its replies are there
blueprint.py     the routes

No library makes the document. spectree, flask-openapi3 and APIFlask were looked at: the last two
want to be the application class itself, while ours is made anew at each reload and has blueprints
of plugins; all bring their own form of errors and pages that load scripts from another host. What
is left, JSON Schemas with references, pydantic makes by itself.
"""
