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

__all__ = ["check_base_url", "is_private", "path_id_problem", "proxy_for", "tls_context"]

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


def proxy_for(base_url: str) -> httpx.Proxy | None:
    """Return the proxy that the environment names for `base_url` (HTTPS_PROXY, NO_PROXY and so on).

    Raises:
        ConfigurationError: it names one that can't be used.
    """
    url = httpx.URL(base_url)
    if _is_loopback(url.host) or proxy_bypass(url.host):
        return None
    proxies = getproxies()
    address = proxies.get(url.scheme) or proxies.get("all")
    if not address:
        return None
    try:
        proxy = httpx.Proxy(address if "://" in address else f"http://{address}")
    except (httpx.InvalidURL, ValueError):
        # Without the cause: its text holds the address, which may hold a password.
        raise ConfigurationError(
            f"The proxy that the environment names for {url.scheme} isn't a URL."
        ) from None
    if proxy.url.scheme not in {"http", "https"}:
        raise ConfigurationError(f"Proxies of kind {proxy.url.scheme!r} can't be used: name an HTTP proxy.")
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
