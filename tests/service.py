"""A server of the service in a thread of this process, and a client that speaks real HTTP with it."""

import http.client
import json
import socketserver
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import tomli_w

from optbench.service.serve import dashboard_application, listen
from optbench.service.web.application import Web
from optbench.service.web.call import Service
from optbench.service.web.gate import Gate
from optbench.service.web.health import readiness_of
from optbench.service.web.server import WebServer
from optbench.service.web.snapshot import Snapshots
from optbench.service.web.tokens import Scope, TokenFile
from optbench.storage import open_storage
from tests.conftest import TINY

NAMES = {Scope.READ: "rita", Scope.SUBMIT: "sue", Scope.ADMIN: "ada"}
JSON = "application/json"
TOML = "application/toml"


@dataclass(frozen=True)
class Reply:
    """An answer: its status, its headers by lower-case name, and its body."""

    status: int
    headers: dict
    body: bytes

    @property
    def json(self):
        assert self.headers["content-type"] == JSON, self.body[:300]
        return json.loads(self.body)

    @property
    def error(self):
        """The one line of an error, after checking that there is nothing else."""
        (line,) = self.json.values()
        assert list(self.json) == ["error"]
        assert line
        assert "\n" not in line
        assert "Traceback" not in line
        assert len(line) <= 1000
        return line


class Client:
    """Sends requests to a server, each over a connection of its own."""

    def __init__(self, port, secrets):
        self.port, self.secrets = port, secrets

    def ask(self, method, path, body=b"", kind=None, scope=None, secret=None, **headers):
        """The reply. The request has the token of that scope, or that secret."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        if kind is not None:
            given["Content-Type"] = kind
        secret = self.secrets[scope] if scope is not None else secret
        if secret is not None:
            given["Authorization"] = f"Bearer {secret}"
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body=body or None, headers=given)
            answer = connection.getresponse()
            return Reply(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def get(self, path, scope=Scope.READ, **more):
        return self.ask("GET", path, scope=scope, **more)

    def post(self, path, content, scope=Scope.SUBMIT, **more):
        return self.ask("POST", path, json.dumps(content).encode(), JSON, scope=scope, **more)

    def patch(self, path, content, scope=Scope.SUBMIT, **more):
        return self.ask("PATCH", path, json.dumps(content).encode(), JSON, scope=scope, **more)

    def submit(self, study=None, scope=Scope.SUBMIT, path="/v1/sweeps", **changes):
        """Submit the tiny sweep with changed keys, as TOML."""
        query = "" if study is None else f"?study={quote(study)}"
        body = tomli_w.dumps({key: value for key, value in (TINY | changes).items() if value is not None})
        return self.ask("POST", path + query, body.encode(), TOML, scope=scope)


@contextmanager
def answering(answer: bytes):
    """The URL of a server that answers every request with these bytes, and the list of the requests' first bytes."""
    got = []

    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            got.append(self.request.recv(100_000))
            self.request.sendall(answer)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", got
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def serving(folder: Path, *, tokens=True, read_only=False, sweeps=None, url=None, host="127.0.0.1"):
    """A client of a server on a new database in the folder, whose `service` it holds."""
    url = url or f"sqlite:///{folder}/served.db"
    if read_only:
        open_storage(url, create=True).close()
    storage = open_storage(url, create=not read_only, read_only=read_only)
    file, secrets = None, {}
    if tokens:
        file = TokenFile(folder / "tokens.json")
        secrets = {scope: file.add(name, scope) for scope, name in NAMES.items()}
    gate = Gate(host=host, owner="olga", tokens=file, read_only=read_only)
    folder_of_sweeps = None if sweeps is None else sweeps.resolve()
    service = Service(
        storage=storage,
        gate=gate,
        snapshots=Snapshots(storage),
        readiness=readiness_of(storage),
        sweeps=folder_of_sweeps,
    )
    listener = listen("127.0.0.1", 0)
    server = WebServer(Web(service, dashboard_application(storage)), listener)
    client = Client(listener.getsockname()[1], secrets)
    client.service, client.folder = service, folder
    server.start()
    try:
        yield client
    finally:
        server.stop()
        storage.close()
