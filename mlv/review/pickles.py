"""What would run if a version's files were loaded, told without loading them.

Which names are dangerous says picklescan, which is well kept; which names there are is found out
here, since it stops at joblib's arrays and does not unpack what joblib packed.
"""

from __future__ import annotations

import importlib.util
import io
import logging
import pickle
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from mlv.review.case import Looked, looked
from mlv.review.report import Finding
from mlv.store.modelclass import is_pickle
from mlv.store.picklenames import Unreadable, is_one, names_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from mlv.review.case import Look
    from mlv.store.versions import Record

_MOST_NAMED = 5
_HEAD = 8
_LONGEST_CHAIN = 10
# What may be a pickle by its name alone.
_SUFFIXES = (".pt", ".pth", ".ckpt", ".dat", ".dill")
# What picklescan lets pass, though it runs what its arguments say, or loads another pickle.
_MODULES = (
    "importlib", "code", "codeop", "logging.config", "shelve", "imp", "marshal", "_posixsubprocess",
    "multiprocessing", "trace", "site", "cgitb", "mailcap", "idlelib", "lib2to3", "xmlrpc", "click",
    "git", "dvc", "mlv", "yaml", "fsspec", "torch.hub", "numpy.f2py", "joblib.externals",
    "pandas.core.computation", "pandas.io.common", "requests", "http", "urllib3", "httpx",
    "aiohttp",
    # Of Python itself.
    "_bootsubprocess", "_ctypes", "_interpreters", "_testcapi", "_xxsubinterpreters", "compileall",
    "distutils", "ftplib", "pkg_resources", "py_compile", "setuptools", "smtplib", "socketserver",
    "tabnanny", "telnetlib", "unittest", "wsgiref", "zipapp", "zipimport",
    # Of what DVC brings, and so lies beside every model.
    "asyncssh", "attr._make", "billiard", "celery", "cloudpickle", "dill", "diskcache", "dulwich",
    "dvc_data", "dvc_objects", "dvc_task", "fabric", "hydra", "invoke", "jinja2", "kombu", "mako",
    "omegaconf", "paramiko", "psutil", "pydot", "pygit2", "pygments", "ruamel", "scmrepo",
    "sqltrie",
    # Of what models are made with.
    "joblib.numpy_pickle_compat", "numexpr", "numpy.distutils", "numpy.testing",
    "sklearn.utils._testing",
)  # fmt: skip
_NAMES = {
    ("builtins", "__import__"), ("__builtin__", "__import__"), ("_io", "open"), ("io", "open"),
    ("io", "FileIO"), ("io", "open_code"), ("_io", "open_code"), ("codecs", "open"),
    ("joblib", "load"), ("joblib.numpy_pickle", "load"), ("numpy", "load"),
    ("numpy.lib.npyio", "load"), ("numpy.lib._npyio_impl", "load"), ("pandas", "read_pickle"),
    ("pandas.io.pickle", "read_pickle"), ("torch", "load"), ("types", "FunctionType"),
    ("dill", "load"), ("dill", "loads"), ("pandas", "eval"), ("sympy", "sympify"),
    ("platform", "_syscmd_ver"), ("platform", "popen"), ("tarfile", "open"),
    ("zipfile", "ZipFile"), ("fileinput", "input"), ("numpy.lib.format", "read_array"),
    ("inspect", "getattr_static"), ("dataclasses", "_create_fn"),
    ("dataclasses", "make_dataclass"), ("typing", "_eval_type"), ("typing", "get_type_hints"),
    ("string", "Formatter.format"), ("numpy", "save"), ("numpy", "savetxt"), ("numpy", "memmap"),
    ("numpy", "fromfile"), ("sqlite3", "connect"), ("dbm", "open"),
}  # fmt: skip
# By the class that has them: they take code, or write where they are told to.
_METHODS = ("eval", "query", "to_csv", "to_pickle", "tofile")
# What picklescan refuses for what it may be given, which is a name as well, and judged as one.
_CARRIERS = {("functools", "partial")}


class Scan:
    """Scans each downloaded file in turn, and keeps what was found."""

    def __init__(self, look: Look) -> None:
        self._is_on = look.deep and look.remote
        self._is_installed = importlib.util.find_spec("picklescan") is not None
        self._findings: list[Finding] = []
        self._count = 0

    def inspect(self, subject: str, name: str, path: Path) -> None:
        """Scan a file that is called ``name``, of the version ``subject``."""
        if not self._is_on or not self._is_installed:
            return
        why = ""
        try:
            names = names_in(path)
        except Unreadable as error:
            if not _says_it_is_one(name, path):
                return
            names, why = error.names, error.message
        self._count += 1
        dangerous = sorted(_dangerous(name, path, names))
        if dangerous:
            more = len(dangerous) - _MOST_NAMED
            told = ", ".join(dangerous[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
            message = f"loading {name} of {subject} would call {told}"
            hint = "do not load it: find out who made it, and yank the version"
            self._findings.append(Finding("pickle", subject, message, hint))
        elif why:
            message = f"{name} of {subject} cannot be followed: {why}"
            hint = "what loading it would call is not known; if it can be loaded at all"
            blocks = is_pickle(name)  # which mlv itself would load
            self._findings.append(Finding("pickle", subject, message, hint, blocks=blocks))

    def looked(self, records: Sequence[Record]) -> Looked:
        """Say what was found of the versions that were downloaded."""
        if not records:
            return looked((), detail="no version comes into use")
        if not self._is_on:
            return looked((), skipped="not downloaded: --deep does it")
        if not self._is_installed:
            return looked((), skipped="no scanner is installed: pip install 'mlv[scan]'")
        return looked(self._findings, detail=f"{self._count} scanned")


def _says_it_is_one(name: str, path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(_HEAD)
    return is_pickle(name) or name.lower().endswith(_SUFFIXES) or is_one(head)


def _dangerous(name: str, path: Path, names: Iterable[tuple[str, str]]) -> Iterator[str]:
    ways = {way: pair for pair in names for way in _ways(*pair)}
    found = {pair for way, pair in ways.items() if _is_ours(*way)}
    asked = _asked(name, path, ways)
    found |= {ways.get(way, way) for way in asked}
    for module, function in found:
        yield f"{module}.{function}"


def _ways(module: str, name: str) -> Iterator[tuple[str, str]]:
    """Give each module and name that a name means: as ``os.system`` in ``glob``, which imports os.

    A module often has another as an attribute, and may call it ``_os``.
    """
    yield module, name
    parts = name.split(".")[-_LONGEST_CHAIN:]
    for end in range(1, len(parts)):
        rest = ".".join(parts[end:])
        yield f"{module}.{'.'.join(parts[:end])}", rest
        for start in range(end):
            yield ".".join(parts[start:end]).removeprefix("_"), rest


def _is_ours(module: str, name: str) -> bool:
    in_module = any(module == each or module.startswith(f"{each}.") for each in _MODULES)
    is_method_of_path = module.startswith("pathlib") and "." in name
    is_method_that_runs = name.rpartition(".")[2] in _METHODS and "." in name
    return in_module or is_method_of_path or is_method_that_runs or (module, name) in _NAMES


def _asked(name: str, path: Path, names: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
    """Ask the scanner, of the names and of the file as it is."""
    from picklescan.scanner import SafetyLevel, scan_bytes, scan_pickle_bytes

    logger = logging.getLogger("picklescan")
    was_disabled, logger.disabled = logger.disabled, True
    try:
        results = [scan_pickle_bytes(io.BytesIO(_pickle_of(names)), name)]
        try:
            with path.open("rb") as file:
                suffix = PurePosixPath(name).suffix.lower()
                results.append(scan_bytes(file, name, suffix))
        except Exception:  # noqa: BLE001 - it may break on anything, and what it names is known
            logger.debug("picklescan gave up on %s", name)
    finally:
        logger.disabled = was_disabled
    return {
        (each.module, each.name)
        for result in results
        for each in result.globals
        if each.safety is SafetyLevel.Dangerous and (each.module, each.name) not in _CARRIERS
    }


def _pickle_of(names: Iterable[tuple[str, str]]) -> bytes:
    """Write a pickle that names just these, in the plain form that every scanner reads."""
    parts = [pickle.PROTO + b"\x04"]
    for pair in sorted(names):
        for text in pair:
            data = text.encode(errors="surrogatepass")
            parts.append(pickle.BINUNICODE + len(data).to_bytes(4, "little") + data)
        parts.append(pickle.STACK_GLOBAL + pickle.POP)
    return b"".join([*parts, pickle.NONE, pickle.STOP])
