"""A client of a server of `optbench serve`, which needs no credentials of the server's database."""

import json
import os
from http import HTTPStatus
from http.client import HTTPException
from ssl import SSLError
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote, urlencode
from urllib.request import Request

from optbench.errors import DefinitionError, StorageError, StudyError
from optbench.service.outgoing import answered, is_url, shown

TIMEOUT = 90.0  # seconds; SQLite may wait a minute for its turn
TOKEN = "OPTBENCH_TOKEN"


class Server:
    """A server of `optbench serve`, and the token from the environment. Raises DefinitionError for a wrong URL."""

    def __init__(self, url: str) -> None:
        if not is_url(url):
            raise DefinitionError(
                f"--server {shown(url)[:200]}; expected a URL without a user's name, for example http://127.0.0.1:8080"
            )
        self.url, self.token = url.rstrip("/"), os.environ.get(TOKEN, "").strip()

    def text(self, method: str, path: str, content: object = None, **query: object) -> str:
        """The body of the answer. Raises DefinitionError, StudyError or StorageError with the server's line."""
        given = {key: value for key, value in query.items() if value is not None}
        url = f"{self.url}/v1/{quote(path)}" + (f"?{urlencode(given)}" if given else "")
        headers = {"Accept": "application/json"} | ({"Authorization": f"Bearer {self.token}"} if self.token else {})
        body = None
        if content is not None:
            body, headers["Content-Type"] = json.dumps(content, default=str).encode(), "application/json"
        try:
            with answered(Request(url, body, headers, method=method), TIMEOUT) as answer:
                return str(answer.read().decode())
        except HTTPError as problem:
            raise self._refused(problem) from problem
        except OSError as problem:
            why = getattr(problem, "reason", problem)
            plain = isinstance(why, TimeoutError | SSLError) and self.url.lower().startswith("https:")
            hint = "; `optbench serve` speaks plain http://; https:// needs a proxy in front of it" if plain else ""
            raise StorageError(f"server {self.url} does not answer: {why}{hint}", passing=True) from problem

    def json(self, method: str, path: str, content: object = None, **query: object) -> Any:
        """The answer in JSON. Raises as `text`."""
        text = self.text(method, path, content, **query)
        try:
            return json.loads(text)
        except ValueError as problem:
            raise StorageError(f"server {self.url} is not an optbench server: it did not answer in JSON") from problem

    def _refused(self, problem: HTTPError) -> Exception:
        with problem:
            try:
                line = str(json.loads(problem.read())["error"])
            except (ValueError, LookupError, TypeError, OSError, HTTPException):
                line = f"it answers {problem.code}"
        if problem.code == 401:
            line += f"; expected a token in {TOKEN}"
        if problem.code >= 500 or problem.code == HTTPStatus.TOO_MANY_REQUESTS:
            return StorageError(f"server {self.url}: {line}", passing=True)
        return StudyError(f"server {self.url}: {line}")
