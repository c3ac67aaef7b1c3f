"""The pool of botocore clients: one for each service, Region and way of retrying, shared by all sessions.

A client costs some 13 ms and 1.2 MB, and a storm opens thousands of sessions; so clients hold no
credentials. Each call brings its :class:`Identity`, which is taken out of the parameters again and signs
that one request. A call without one finds no credentials and is never sent.
"""

from __future__ import annotations

import contextlib
import io
import threading
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

from botocore.config import Config
from botocore.credentials import CredentialResolver
from botocore.exceptions import BotoCoreError
from botocore.response import StreamingBody
from botocore.session import Session
from botocore.utils import parse_timestamp

from irrunner import __version__
from irrunner.aws.endpoints import EndpointRule
from irrunner.aws.identity import Identity
from irrunner.aws.operations import split
from irrunner.errors import InvalidCall, SettingsError
from irrunner.settings import Settings
from irrunner.urls import is_loopback

CALLER = "irrunner.caller"
CONNECT_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 30.0
READ_ATTEMPTS = 3
_ACCOUNT_IN_HOST = frozenset({"s3control"})
"""Services whose requests go to a host named after the account, which a loopback address cannot be."""
LONGEST_BODY = 64 << 20
"""Bytes that one answer may stream (a block of a snapshot, a log object)."""


def _instant(value: Any) -> Any:
    """Return a time of an answer: ISO 8601 by the fast way.

    botocore's own parser takes a third of the time of a look at hundreds of snapshots.
    """
    if isinstance(value, str) and value.endswith("Z"):
        with contextlib.suppress(ValueError):
            return datetime.fromisoformat(value)
    return parse_timestamp(value)


class Clients:
    """Makes clients at first use and keeps them. Safe for threads."""

    def __init__(self, session: Session, settings: Settings) -> None:
        """Make a sibling of the session that has its configuration but no credentials.

        Args:
            session: Profile, endpoints and certificates are taken from it.
            settings: ``endpoints`` and ``limits``.
        """
        loader = session.get_component("data_loader")
        self._session = Session(profile=session.profile)
        self._session.register_component("data_loader", loader)
        self._session.register_component("credential_provider", CredentialResolver([]))
        self._session.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=_instant)
        outputs = [partition["outputs"] for partition in loader.load_data("partitions")["partitions"]]
        suffixes = {output[name] for output in outputs for name in ("dnsSuffix", "dualStackDnsSuffix")}
        self._rule = EndpointRule(frozenset(suffixes), settings.endpoints)
        self._connections = settings.limits.threads
        self._clients: dict[tuple[str, str, bool], Any] = {}
        self._names: dict[str, dict[str, str]] = {}
        self._lock = threading.Lock()
        self._simulated: bool | None = None

    def get(self, service: str, region: str, *, retries: bool) -> Any:
        """Return the client.

        Args:
            service: botocore's name.
            region: Region.
            retries: True for reads; botocore then sends again by itself.

        Raises:
            SettingsError: If its endpoint is refused.
            BotoCoreError: If service or Region do not exist.
        """
        key = (service, region, retries)
        client = self._clients.get(key)
        if client is None:
            with self._lock:
                client = self._clients.get(key) or self._clients.setdefault(key, self._make(*key))
        return client

    def _make(self, service: str, region: str, retries: bool) -> Any:  # noqa: FBT001 - the key's parts
        config = Config(
            retries={"mode": "standard", "total_max_attempts": READ_ATTEMPTS if retries else 1},
            connect_timeout=CONNECT_TIMEOUT_S,
            read_timeout=READ_TIMEOUT_S,
            max_pool_connections=self._connections,
            user_agent_extra=f"irrunner/{__version__}",
            account_id_endpoint_mode="disabled",
            tcp_keepalive=True,
        )
        client = self._create(service, region, config)
        self._check(client.meta.endpoint_url, client.meta.service_model.endpoint_prefix)
        if self._simulated and getproxies():
            client = self._create(service, region, config.merge(Config(proxies={})))
        if self._simulated and service in _ACCOUNT_IN_HOST:
            client.meta.events.register("before-sign", _to_bare_host)
        client.meta.events.register_first("before-parameter-build", _take_caller)
        client.meta.events.register("before-sign", _sign_as_caller)
        client.meta.events.register_last("request-created", _name_the_run)
        return client

    def _create(self, service: str, region: str, config: Config) -> Any:
        try:
            return self._session.create_client(service, region_name=region, config=config)
        except BotoCoreError:
            raise
        except ValueError as problem:
            text = f"cannot reach {service} in {region}: {problem}"
            raise SettingsError(text, hint="check AWS_ENDPOINT_URL") from None

    def _check(self, url: str, service: str) -> None:
        """One run never mixes the simulated organisation with AWS: a drill must not reach a real account."""
        self._rule.check(url, service)
        simulated = is_loopback(url)
        if self._simulated not in (None, simulated):
            raise SettingsError(
                f"{url}: some AWS endpoints are on this machine and others are not",
                hint="set AWS_ENDPOINT_URL for all services or for none",
            )
        self._simulated = simulated

    def check_cluster(self, url: str) -> None:
        """Let the endpoint of an EKS cluster pass, where it is on the same side as our other endpoints.

        Raises:
            SettingsError: If it is not.
        """
        self._rule.check_cluster(url)
        if self._simulated not in (None, is_loopback(url)):
            raise SettingsError(
                "a simulated cluster and AWS itself are not mixed", hint="check AWS_ENDPOINT_URL"
            )

    def partition(self, region: str) -> str:
        """Return the partition (``aws``) of a Region."""
        return str(self._session.get_partition_for_region(region))

    def bound(self, operation: str, region: str, identity: Identity, *, retries: bool) -> Bound:
        """Return an operation, ready to be called as an identity.

        Raises:
            InvalidCall: If the service has no such operation.
        """
        service, name = split(operation)
        client = self.get(service, region, retries=retries)
        method = self._methods(client).get(name)
        if method is None:
            raise InvalidCall(f"{operation}: {service} has no operation {name}", operation=operation)
        return Bound(client, method, identity)

    def _methods(self, client: Any) -> dict[str, str]:
        """Return operation name to method name; the same for all clients of a service."""
        service = client.meta.service_model.service_name
        known = self._names.get(service)
        if known is None:
            known = {api: method for method, api in client.meta.method_to_api_mapping.items()}
            self._names[service] = known
        return known


class Bound:
    """One operation of one client as one identity."""

    __slots__ = ("_client", "_identity", "_method")

    def __init__(self, client: Any, method: str, identity: Identity) -> None:
        self._client = client
        self._method = method
        self._identity = identity

    def call(self, params: dict[str, Any]) -> dict[str, Any]:
        """Send it, and read what it streams: a stream that breaks off breaks off here, as a typed error.

        Raises:
            InvalidCall: If the answer streams more than :data:`LONGEST_BODY` bytes.
        """
        answer: dict[str, Any] = getattr(self._client, self._method)(**params, **{CALLER: self._identity})
        for name, value in answer.items():
            if isinstance(value, StreamingBody):
                answer[name] = io.BytesIO(_whole(value))
        return answer

    def pages(self, params: dict[str, Any]) -> Any:
        """Yield every page; one, where the operation has no pages."""
        if not self._client.can_paginate(self._method):
            return iter((self.call(params),))
        return self._client.get_paginator(self._method).paginate(**params, **{CALLER: self._identity})

    @property
    def url(self) -> str:
        """Return the endpoint."""
        return str(self._client.meta.endpoint_url)


def _whole(body: StreamingBody) -> bytes:
    with contextlib.closing(body):
        data: bytes = body.read(LONGEST_BODY + 1)
        if len(data) > LONGEST_BODY:
            raise InvalidCall(
                f"an answer of more than {LONGEST_BODY} bytes is not read into memory",
                hint="copy the object inside AWS, or read it in ranges",
            )
        body.read()  # at the end botocore compares what came with the length that was announced
        return data


def _take_caller(params: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
    """Move the caller from the parameters (which are validated next) to the request's context."""
    context[CALLER] = params.pop(CALLER, None)


def _to_bare_host(request: Any, **_: Any) -> None:
    """Take the account id off the host; the header ``x-amz-account-id`` tells it, too.

    Source: botocore's endpoint rules of s3control, ``{AccountId}.{url#authority}``.
    """
    url = urlsplit(request.url)
    account, _, host = url.netloc.partition(".")
    if account.isdecimal() and account == request.headers.get("x-amz-account-id"):
        request.url = url._replace(netloc=host).geturl()


def _sign_as_caller(request: Any, **_: Any) -> None:
    """Give the signer the caller's credentials.

    Source: botocore.signers.RequestSigner.sign, ``request_credentials`` of the signing context.
    """
    identity: Identity | None = request.context.get(CALLER)
    if identity is not None:
        request.context.setdefault("signing", {})["request_credentials"] = identity.credentials


def _name_the_run(request: Any, **_: Any) -> None:
    """Add the run to the user agent, last: botocore writes that header anew before each attempt."""
    identity: Identity | None = request.context.get(CALLER)
    if identity is not None and identity.run_id:
        agent = request.headers.get("User-Agent", "")
        request.headers.replace_header("User-Agent", f"{agent} run/{identity.run_id}")
