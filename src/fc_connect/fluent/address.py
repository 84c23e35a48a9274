"""Checks the address of the API and the way there: what a person wrote, before anything is sent to it."""

from __future__ import annotations

import ipaddress
import logging
import re
import ssl
from pathlib import Path
from urllib.request import getproxies, proxy_bypass

import httpx

from fc_connect.errors import ConfigurationError
from fc_connect.fluent.options import DIRECT

__all__ = ["check_base_url", "is_private", "path_id_problem", "proxy_for", "show_certificate", "tls_context"]

logger = logging.getLogger(__name__)

_ID = re.compile(r"[A-Za-z0-9_:~-][A-Za-z0-9._:~-]{0,127}")


def check_base_url(base_url: str) -> list[str]:
    """Return what is wrong with `base_url`, one line each; secrets in it are not repeated."""
    try:
        url = httpx.URL(base_url.strip())
    except (httpx.InvalidURL, ValueError):
        return ["base_url isn't a URL: write https://<account>.sandbox.api.fluentretail.com or the like"]
    problems = []
    if url.scheme not in {"http", "https"}:
        problems.append(f"base_url must begin with https://, not with {url.scheme or 'a bare host'!r}")
    if not url.host:
        problems.append("base_url names no host")
    if url.userinfo:
        problems.append("base_url holds a user or password: give them as credentials")
    if url.query or url.fragment:
        problems.append("base_url holds a query or fragment: leave it out")
    return problems


def is_private(host: str) -> bool:
    """Say whether `host` is this machine or a private network, where plain HTTP stays inside."""
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return "." not in host or host.endswith((".localhost", ".local", ".internal"))
    return address.is_private or address.is_loopback or address.is_link_local


def path_id_problem(name: str, value: str) -> str | None:
    """Say what is wrong with an id that becomes part of a path; None where nothing is.

    Escaping alone won't do: gateways decode `%2F` before they route.
    """
    if _ID.fullmatch(value):
        return None
    return f"{name} {value[:40]!r} isn't an id of Fluent: letters, digits and . _ : ~ - alone"


def proxy_for(base_url: str, *, given: str | None = None) -> httpx.Proxy | None:
    """Return the proxy at the address `given`, else the one that the environment names for `base_url`.

    The environment's are HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY; `direct` is for no proxy at all.

    Raises:
        ConfigurationError: it can't be used.
    """
    if given is not None:
        return None if given == DIRECT else _proxy(given, "proxy")
    url = httpx.URL(base_url)
    if _is_loopback(url.host) or proxy_bypass(url.host):
        return None
    proxies = getproxies()
    address = proxies.get(url.scheme) or proxies.get("all")
    return _proxy(address, f"The proxy that the environment names for {url.scheme}") if address else None


def _proxy(address: str, what: str) -> httpx.Proxy:
    try:
        proxy = httpx.Proxy(address if "://" in address else f"http://{address}")
    except (httpx.InvalidURL, ValueError):
        # Without the cause: its text holds the address, which may hold a password.
        raise ConfigurationError(f"{what} isn't a URL.") from None
    if proxy.url.scheme not in {"http", "https"} or not proxy.url.host:
        raise ConfigurationError(
            f"Proxies of kind {proxy.url.scheme!r} can't be used: name an HTTP proxy."
            if proxy.url.host
            else f"{what} names no host."
        )
    return proxy


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def tls_context(verify: ssl.SSLContext | Path | bool) -> ssl.SSLContext:
    """Return the TLS context: the usual authorities, those of a PEM file, or none at all."""
    if isinstance(verify, ssl.SSLContext):
        return verify
    if isinstance(verify, Path):
        try:
            return ssl.create_default_context(cafile=str(verify))
        except OSError as exc:  # also ssl.SSLError: a file that isn't PEM
            raise ConfigurationError(
                f"{verify}: isn't a PEM file of authorities that can be read: {exc}."
            ) from exc
    if not verify:
        logger.warning("TLS certificates are not verified: whoever is in between can read the credentials")
    return httpx.create_ssl_context(verify=verify)


def show_certificate(
    context: ssl.SSLContext, certificate: Path, *, key: Path | None, password: str | None
) -> None:
    """Let `context` show a client certificate to servers that ask for one.

    Raises:
        ConfigurationError: it can't be read, or the key isn't its own.
    """
    try:
        # Without a password of ours OpenSSL would ask for one on the terminal.
        context.load_cert_chain(certificate, key, password=password or "")
    except (OSError, ValueError) as exc:  # also ssl.SSLError: isn't PEM, a wrong password, another's key
        files = str(certificate) if key is None else f"{certificate} and {key}"
        raise ConfigurationError(
            f"{files}: aren't a client certificate and its key in PEM, or key_password is wrong: {exc}."
        ) from exc
