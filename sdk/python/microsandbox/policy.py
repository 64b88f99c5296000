"""Small values that say parts of a network, of TLS and of secrets."""

from __future__ import annotations

from ._value import Value
from .types import Rate, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Literal, Optional, Union

    from .types import Action, StrPath


class Destination:
    """Targets of rules, as their text: Rule.allow(destination=Destination.domain("x.org"))."""

    @staticmethod
    def any() -> str:
        return "any"

    @staticmethod
    def ip(ip: str) -> str:
        return f"[{ip}]" if ":" in ip and not ip.startswith("[") else ip

    @staticmethod
    def cidr(cidr: str) -> str:
        return Destination.ip(cidr)

    @staticmethod
    def domain(domain: str) -> str:
        return f"domain={domain}"

    @staticmethod
    def domain_suffix(suffix: str) -> str:
        """A name and all below it."""
        return f"suffix={suffix.lstrip('*').lstrip('.')}"

    @staticmethod
    def group(group: str) -> str:
        return "meta" if group == "metadata" else group


class NetworkPolicy(Value):
    """Rules, the first that matches decides, and what becomes of all else."""

    default_egress: Action = "deny"
    default_ingress: Action = "allow"
    rules: Sequence[Union[Rule, str]] = ()

    @classmethod
    def none(cls) -> NetworkPolicy:
        """Nothing, both ways; with an interface, which Network.none() has not."""
        return cls("deny", "deny")

    @classmethod
    def allow_all(cls) -> NetworkPolicy:
        return cls("allow", "allow")

    @classmethod
    def from_profiles(cls, profiles: Iterable[str]) -> NetworkPolicy:
        """public, private and host, in any combination, and name service."""
        said = list(profiles)
        dns = ["allow@dns"] if said else []
        return cls(rules=(*dns, *(f"allow@{p}" for p in said)))


class TokenBucket(Value):
    """So many at once, and as many again in the time."""

    size: int
    refill_time_ms: int

    def _rate(self) -> Rate:
        return Rate(max(1, self.size * 1000 // max(1, self.refill_time_ms)), self.size)


class RateLimiter(Value):
    """Of one direction: bytes, and packets."""

    bandwidth: Optional[TokenBucket] = None
    ops: Optional[TokenBucket] = None


class NetworkRateLimiter(Value):
    """Of both directions."""

    egress: Optional[RateLimiter] = None
    ingress: Optional[RateLimiter] = None

    def _rates(self) -> dict[str, Rate]:
        """By the names of Network's members."""
        found = {}
        for way, limiter in (("egress", self.egress), ("ingress", self.ingress)):
            if limiter is not None and limiter.bandwidth is not None:
                found[f"{way}_bytes"] = limiter.bandwidth._rate()
            if limiter is not None and limiter.ops is not None:
                found[f"{way}_packets"] = limiter.ops._rate()
        return found


class VsockRoute(Value):
    """A Unix socket of the host that the guest reaches as a port of CID 2."""

    host_socket: StrPath
    port: int
    socket_type: Literal["stream", "dgram"] = "stream"

    @classmethod
    def stream(cls, host_socket: StrPath, port: int) -> VsockRoute:
        return cls(host_socket, port)

    @classmethod
    def dgram(cls, host_socket: StrPath, port: int) -> VsockRoute:
        return cls(host_socket, port, "dgram")


class ScopedUpstreamCACert(Value):
    """A PEM file for the servers of some names."""

    pattern: str
    path: StrPath


class ScopedVerifyUpstream(Value):
    """Whether certificates of servers of some names are checked."""

    pattern: str
    verify: bool


class SecretInjection(Value):
    """Where a placeholder may stand."""

    headers: bool = True
    basic_auth: bool = True
    query_params: bool = False
    body: bool = False
