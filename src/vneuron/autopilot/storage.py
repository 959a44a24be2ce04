"""Where a study lies: a file, a journal, a database server, or a proxy in front of one."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from .backend import hushed, optuna

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

__all__ = ["default_storage", "may_hold", "open_storage", "patiently", "shown"]

T = TypeVar("T")

SQLITE_PATIENCE = 60
RECONNECT_SECONDS = 180.0


def default_storage(folder: Path) -> str:
    """SQLite in the study's folder."""
    return f"sqlite:///{(folder / 'study.db').resolve()}"


def open_storage(url: str) -> BaseStorage:
    """A storage by its address.

    Args:
        url: "sqlite:///FILE", "journal:FILE" (many processes on one file system),
            "postgresql://USER:PASSWORD@HOST/DATABASE" (many hosts; also "mysql://..."), or
            "grpc://HOST:PORT" (Optuna's proxy in front of another).

    Raises:
        ValueError: the address is none of these, or nothing answers there.
    """
    kind, _, rest = url.partition(":")
    with hushed():
        try:
            return _opened(kind.lower(), rest, url)
        except ImportError as error:
            raise ImportError(
                f"storage {shown(url)} needs a driver that is not installed "
                f"({error.name or error}): pip install 'vneuron[autopilot,postgres]'"
            ) from error
        except (ValueError, OSError) as error:
            raise ValueError(f"storage {shown(url)}: {_first_line(error)}") from None
        except Exception as error:
            if _is_outage(error):
                raise ValueError(
                    f"storage {shown(url)}: nothing answers there ({_first_line(error)}): start "
                    "the server, or check address, user and password"
                ) from None
            raise


def _opened(kind: str, rest: str, url: str) -> BaseStorage:
    if kind == "journal":
        path = Path(rest.removeprefix("//"))
        if not path.parent.is_dir():
            raise ValueError(f"no folder {path.parent}; make it, or give another path")
        from optuna.storages.journal import JournalFileBackend

        backend = JournalFileBackend(str(path))
        return optuna.storages.JournalStorage(backend)
    if kind == "grpc":
        host, _, port = rest.removeprefix("//").partition(":")
        if not port.isdigit():
            raise ValueError("give grpc://HOST:PORT")
        proxy = optuna.storages.GrpcStorageProxy(host=host, port=int(port))
        proxy.wait_server_ready(timeout=30)
        return proxy
    if kind.startswith(("postgresql", "mysql", "sqlite")):
        if kind in ("postgresql", "postgres"):
            url = f"postgresql+psycopg:{rest}"
        engine: dict[str, object] = {"pool_pre_ping": True}
        if kind.startswith("sqlite"):
            engine = {"connect_args": {"timeout": SQLITE_PATIENCE}}
        return optuna.storages.RDBStorage(url, engine_kwargs=engine)
    raise ValueError(
        "expected sqlite:///FILE, journal:FILE, postgresql://USER@HOST/DATABASE or grpc://HOST:PORT"
    )


def may_hold(url: str) -> bool:
    """Whether a storage may hold studies already: all but a file that is not there yet.

    Example:
        >>> may_hold("sqlite:///no/study.db"), may_hold("grpc://host:13000")
        (False, True)
    """
    kind, _, rest = url.partition(":")
    if kind.lower() == "sqlite":
        return Path(rest.removeprefix("///")).is_file()
    if kind.lower() == "journal":
        path = Path(rest.removeprefix("//"))
        return path.is_file() or not path.parent.is_dir()
    return True


def patiently(call: Callable[[], T], seconds: float = RECONNECT_SECONDS) -> T:
    """Call, and call again while the storage is away: a server that is restarted loses nothing.

    Args:
        call: reads or writes the storage; must bear being called twice.
        seconds: how long to wait for it.

    Raises:
        ValueError: it has not come back.
    """
    waited, pause = 0.0, 0.2
    while True:
        try:
            return call()
        except Exception as error:
            if not _is_outage(error):
                raise
            if waited >= seconds:
                raise ValueError(
                    f"the study's storage has been away for {seconds:.0f} seconds "
                    f"({_first_line(error)}): start it again, then go on with --resume"
                ) from None
        time.sleep(pause)
        waited += pause
        pause = min(2 * pause, 5.0)


def shown(url: str) -> str:
    """An address without its password.

    Example:
        >>> shown("postgresql://ada:secret@host/studies")
        'postgresql://ada:***@host/studies'
    """
    scheme, mark, rest = url.partition("://")
    user, at, place = rest.rpartition("@")
    if not at or ":" not in user:
        return url
    return f"{scheme}{mark}{user.partition(':')[0]}:***@{place}"


def _is_outage(error: BaseException) -> bool:
    """Whether the storage is away, or was in the middle of a call, by any of the drivers' words."""
    chain: BaseException | None = error
    while chain is not None:
        if type(chain).__name__ in (
            "OperationalError",
            "InterfaceError",
            "DisconnectionError",
            "AdminShutdown",
            "RpcError",
            "_InactiveRpcError",
            "StorageInternalError",
        ):
            return True
        chain = chain.__cause__
    return False


def _first_line(error: BaseException) -> str:
    text = " ".join(str(error.__cause__ or error).split())
    return text[:200] or type(error).__name__
