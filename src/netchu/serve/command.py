"""The service's command line: netchu serve --ensemble ensemble.json --data service."""

import argparse
import math
import os
import socket
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netchu.core.config import names
from netchu.core.errors import NetchuError
from netchu.reading.pages import find_lines
from netchu.reading.recipe import RELEASE

if TYPE_CHECKING:
    from netchu.serve.service import Service

LOOPBACK_HOSTS = ("127.0.0.1", "localhost", "::1")
TOKEN = "NETCHU_TOKEN"  # environment variable
DATABASE = "NETCHU_DATABASE"  # environment variable
MOST_REQUESTS = 128  # open at once
BACKLOG = 2048  # connections that the system holds until they are accepted


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line; raises NetchuError for values that no service could use."""
    parser = argparse.ArgumentParser(description=__doc__)
    model = parser.add_mutually_exclusive_group()
    model.add_argument(
        "--ensemble",
        type=Path,
        metavar="FILE",
        help="recipe, as netchu select writes it; serves from now on, whatever served before. Without it and --bundles:"
        " the version that served last, at the first start the released ensemble",
    )
    model.add_argument("--bundles", type=Path, nargs="+", default=[], metavar="FILE", help="members, read greedily")
    parser.add_argument("--data", type=Path, default=Path("service"), metavar="DIR", help="samples, jobs, versions")
    parser.add_argument("--manifest", type=Path, metavar="FILE", help="lines mixed into retraining, against forgetting")
    parser.add_argument(
        "--member", default="", metavar="N|all", help="that a retraining fine-tunes; default: the one that weighs most"
    )
    parser.add_argument(
        "--database",
        default=os.environ.get(DATABASE, ""),
        metavar="URL",
        help="postgresql://USER@HOST/NAME, for several services on one --data that they all see; default: a file in"
        f" --data. {DATABASE} sets it too",
    )
    parser.add_argument(
        "--least-held-out",
        type=int,
        default=30,
        metavar="LINES",
        help="that must judge a retrained version before it is promoted by itself; with fewer a person decides",
    )
    parser.add_argument("--host", default="127.0.0.1", help=f"another one than this machine needs {TOKEN}")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--token-file", type=Path, metavar="FILE", help=f"holds the token, instead of {TOKEN}")
    parser.add_argument("--threads", type=int, default=0, help="of the processor for reading; 0: as many as there are")
    parser.add_argument("--retrain-threads", type=int, default=0, help="of torch for retraining; 0: its own choice")
    parser.add_argument("--megapixels", type=int, default=64, metavar="N", help="of a request's pictures")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--queue", type=int, default=256, metavar="LINES", help="that may wait; more are answered 503")
    parser.add_argument(
        "--patience", type=float, default=5.0, metavar="SECONDS", help="that a line may be expected to wait, else 503"
    )
    parser.add_argument("--timeout", type=float, default=20.0, metavar="SECONDS", help="that a line may wait")
    args = parser.parse_args(arguments)
    for name, least in (
        ("threads", 0),
        ("retrain_threads", 0),
        ("megapixels", 1),
        ("batch_size", 1),
        ("least_held_out", 1),
        ("queue", 1),
        ("patience", 0.1),
        ("timeout", 0.1),
    ):
        if not least <= getattr(args, name) < math.inf:
            raise NetchuError(f"--{name.replace('_', '-')} {getattr(args, name)}: expected {least} or more")
    if not 0 <= args.port < 1 << 16:
        raise NetchuError(f"--port {args.port}: expected 0 to {(1 << 16) - 1}")
    if args.manifest is not None and not args.manifest.is_file():
        raise NetchuError(
            f"{args.manifest}: no such manifest; make one with prepare_ext_data.py or leave --manifest out"
        )
    return args


def read_token(host: str, token_file: Path | None) -> str:
    """The token, or nothing; raises NetchuError when a host that others can reach has none."""
    if token_file is not None:
        try:
            token = token_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise NetchuError(f"{token_file}: cannot be read ({error}); write the token into it") from error
    else:
        token = os.environ.get(TOKEN, "").strip()
    if host not in LOOPBACK_HOSTS and not token:
        raise NetchuError(f"--host {host}: others can reach it, so set {TOKEN} or --token-file first")
    if token and (len(token) < 16 or not token.isascii()):
        raise NetchuError(f"{token_file or TOKEN}: a token has 16 or more ASCII characters; make a longer one")
    return token


def open_service(args: argparse.Namespace) -> "Service":
    """The service of a command line, ready to read."""
    from netchu.serve.service import Service, ServiceSettings
    from netchu.serve.uploads import UploadLimits

    token = read_token(args.host, args.token_file)
    given = {name: getattr(args, name) for name in names(ServiceSettings) if hasattr(args, name)}
    limits = UploadLimits(pixels=args.megapixels * 1_000_000)
    return Service(ServiceSettings(**given, release=RELEASE, base_manifest=args.manifest, token=token, limits=limits))


def build(args: argparse.Namespace, service: "Service | None" = None) -> Any:
    """The ASGI application of a command line, over a service that is open or is opened here."""
    service = service or open_service(args)
    from netchu.serve.api import build_app
    from netchu.serve.request_guard import RequestGuard

    return RequestGuard(
        build_app(service, find_lines=partial(find_lines, threads=args.threads)),
        token=service.settings.token,
        loopback=args.host in LOOPBACK_HOSTS,
        request_bytes=service.settings.limits.request_bytes,
        most=MOST_REQUESTS,
        retry_after=service.batcher.retry_after,
        observe=service.telemetry.observe_request,
    )


def main() -> None:
    """Serve until a signal comes; then answer what is open and stop a running job with its state saved."""
    args = parse()
    with listen(args.host, args.port) as listening:  # before anything is made or loaded
        service = open_service(args)
        app = build(args, service)
        import uvicorn

        from netchu.serve.connections import server_options

        version = service.versions.get(service.active)
        where = f"http://{args.host}:{listening.getsockname()[1]} from {args.data}"
        print(f"netchu serves version {version.id} ({version.name or version.note}) on {where}", flush=True)
        uvicorn.Server(uvicorn.Config(app, **server_options())).run(sockets=[listening])


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; raises NetchuError when the port is taken or the address is not this machine's."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no host name"
        raise NetchuError(f"--host {host} --port {port}: {reason}; stop what uses it or choose another") from error
