"""Lets people log in with a token on a page, and out again. Their browsers get a cookie with the id of the session."""

from werkzeug import Request, Response

from optbench.service.guard import READING
from optbench.service.web import pages
from optbench.service.web.gate import COOKIE, CSRF_FIELD, Gate
from optbench.service.web.refusals import RefusalError
from optbench.service.web.sessions import LIFETIME


def log_in(gate: Gate, request: Request) -> Response:
    """The page with the field for a token, or what becomes of the token in it. Raises RefusalError."""
    if gate.tokens is None:
        return pages.redirect("/")
    if request.method in READING:
        return pages.login()
    gate.check_origin(request)
    try:
        identity = gate.log_in(request, request.form.get("token", ""))
    except RefusalError as refusal:
        found = pages.login(str(refusal), refusal.status)
        found.headers.extend({key: value for key, value in refusal.headers.items() if key == "Retry-After"})
        return found
    found = pages.redirect("/")
    secure = request.scheme == "https" or request.headers.get("X-Forwarded-Proto") == "https"
    found.set_cookie(COOKIE, identity, max_age=int(LIFETIME), httponly=True, samesite="Strict", secure=secure)
    return found


def log_out(gate: Gate, request: Request) -> Response:
    """The login page, after ending the session. Raises RefusalError."""
    caller = gate.identify(request)
    gate.check_origin(request)
    gate.check_form(caller, request.form.get(CSRF_FIELD, ""))
    gate.sessions.end(caller.session or "")
    found = pages.redirect("/login")
    found.delete_cookie(COOKIE, httponly=True, samesite="Strict")
    return found
