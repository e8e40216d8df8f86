"""`optbench serve`: the HTTP API, the page that people see first, metrics, and access by tokens.

tokens.py keeps tokens; gate.py says who asks and what they may. routes.py is the table of routes, which openapi.py
describes; sweeps.py and reading.py answer them. bodies.py has the models of requests, answers.py those of answers;
wording.py says what is wrong in a request. definitions.py decides which definitions come in. snapshot.py reads what
metrics.py and pages.py show, and kept.py keeps it for a moment. application.py puts it together, and server.py runs it.
"""
