"""What a pickle names: every class and function that loading it would look up, without loading.

A pickle is followed as `pickle` and joblib follow it, opcode by opcode, but nothing that it names
is imported, called or built. joblib puts the bytes of arrays between the opcodes, where a scanner
that knows opcodes alone stops.
"""

from __future__ import annotations

import io
import pickle
import re
from functools import partial
from math import prod
from typing import IO, TYPE_CHECKING, Any, ClassVar, NamedTuple

from mlv.errors import RegistryError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_ARRAY = ("joblib.numpy_pickle", "NumpyArrayWrapper")
# By any other name, these would read bytes, or other files, where nothing here expects it.
_READERS = ("NumpyArrayWrapper", "NDArrayWrapper", "ZNDArrayWrapper")
_RECONSTRUCTORS = (("copyreg", "_reconstructor"), ("copy_reg", "_reconstructor"))
_TYPE = ("numpy", "dtype")
_NPY = b"\x93NUMPY"
_ZIP = b"PK\x03\x04"
_DTYPE = re.compile(r"([biufcSUVOMm])(\d+)")  # as numpy writes it: never without its size
# Of a type's state: so many fields, whose last are its size, its alignment and its flags.
_STATE = 8
_OBJECTS = 1
_CHUNK = 1 << 20
_MOST_NAMES = 100_000
_DEEPEST = 50  # pickles in pickles
_PACKED = (b"\x1f\x8b", b"BZ", b"\xfd7zXZ", b"\x5d\x00", b"\x78")
_FIRST_WITH_MARK = 2  # protocol; files of older ones begin with any opcode


class Unreadable(RegistryError):
    """A file is no pickle, or one that cannot be followed; ``names`` are those up to there."""

    def __init__(self, message: str, names: frozenset[tuple[str, str]]) -> None:
        super().__init__(message)
        self.names = names


class _Named(NamedTuple):
    """A class or function, which is not looked up."""

    module: str
    name: str


class _Made(NamedTuple):
    """What calling something would make."""

    by: object
    arguments: object


class _Pairs(list[tuple[object, object]]):
    """A dictionary whose keys are not hashed: hashing nested ones can take for ever."""


def is_one(head: bytes) -> bool:
    """Whether the first bytes of a file say that it is a pickle, or may hold one."""
    is_pickle = head[:1] == pickle.PROTO and _FIRST_WITH_MARK <= head[1] <= pickle.HIGHEST_PROTOCOL
    return is_pickle or head.startswith((_NPY, _ZIP, *_PACKED))


def names_in(path: Path) -> frozenset[tuple[str, str]]:
    """Give module and name of all that loading a file would look up; `Unreadable` says why not."""
    names: set[tuple[str, str]] = set()
    try:
        _follow(path, names)
    except RecursionError:
        raise Unreadable("it is nested too deeply", frozenset(names)) from None
    except Exception as error:  # noqa: BLE001 - see below
        # Anybody may have written it, so that following it may fail in any way.
        said = str(error).strip().splitlines() or [type(error).__name__]
        raise Unreadable(said[0], frozenset(names)) from None
    return frozenset(names)


def _follow(path: Path, names: set[tuple[str, str]]) -> None:
    with path.open("rb") as file:
        head = file.read(len(_NPY))
    if head.startswith(_ZIP):
        for member in _members(path):
            _follow_one(member, names)
        return
    # As joblib reads it, and as pickle does, for which the bytes of an array are opcodes.
    with _opened(path, head) as stream:
        _follow_one(stream, names)
    with _opened(path, head) as stream:
        try:
            _Follower(stream, names, knows_arrays=False).load()
        except Exception:  # noqa: BLE001 - so it ends where an array begins
            return


def _members(path: Path) -> Iterator[IO[bytes]]:
    import zipfile

    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            with archive.open(name) as member:
                head = member.read(len(_NPY))
            is_inner = is_one(head) and not head.startswith((_ZIP, *_PACKED))
            if is_inner or name.lower().endswith(".pkl"):
                with archive.open(name) as member:
                    yield member


def _opened(path: Path, head: bytes) -> IO[bytes]:
    """Open a file as joblib does, which tells the compression by the first bytes."""
    import bz2
    import gzip
    import lzma

    openers: tuple[tuple[bytes, Callable[..., Any]], ...] = (
        (b"\x1f\x8b", gzip.open),
        (b"BZ", bz2.open),
        (b"\xfd7zXZ", lzma.open),
        (b"\x5d\x00", lzma.open),
        (b"\x78", _zlib),
    )
    for mark, opener in openers:
        if head.startswith(mark):
            opened: IO[bytes] = opener(path, "rb")
            return opened
    return path.open("rb")


def _zlib(path: Path, mode: str) -> IO[bytes]:
    from joblib.compressor import BinaryZlibFile

    return io.BufferedReader(BinaryZlibFile(str(path), mode))


def _follow_one(stream: IO[bytes], names: set[tuple[str, str]]) -> None:
    buffered: Any = stream if hasattr(stream, "peek") else io.BufferedReader(stream)
    if not buffered.peek(len(_NPY)).startswith(_NPY) or _is_npy_of_objects(buffered):
        _Follower(buffered, names).load()


def _is_npy_of_objects(stream: IO[bytes]) -> bool:
    """Pass over the header of an ``.npy`` file; say whether a pickle follows, or plain numbers."""
    version = stream.read(len(_NPY) + 2)[len(_NPY)]
    size = int.from_bytes(stream.read(2 if version == 1 else 4), "little")
    header = stream.read(min(size, _CHUNK)).decode("latin-1")
    return "O" in header.partition("'descr'")[2].partition("'fortran_order'")[0]


# The one that is written in Python, and can be followed; joblib builds on it too.
_Unpickler = pickle._Unpickler  # noqa: SLF001 - it has no public name
_Stop = pickle._Stop  # type: ignore[attr-defined]  # noqa: SLF001 - nor has how it ends


class _Follower(_Unpickler):
    """Follows the opcodes, and gathers names."""

    # What `pickle` gives its own, and its types do not tell.
    stack: list[Any]
    append: Callable[[object], None]
    pop_mark: Callable[[], list[Any]]
    readline: Callable[[], bytes]

    dispatch: ClassVar[dict[int, Callable[[Any], None]]] = dict(_Unpickler.dispatch)

    def __init__(
        self,
        stream: IO[bytes],
        names: set[tuple[str, str]],
        *,
        knows_arrays: bool = True,
        depth: int = 0,
    ) -> None:
        super().__init__(stream)
        self._stream, self._names = stream, names
        self._knows_arrays, self._depth = knows_arrays, depth
        # By id, and kept so that no other object gets that: the states of types; what was fetched.
        self._states: dict[int, tuple[object, object]] = {}
        self._shared: dict[int, object] = {}
        self._named = self._made = self._built = 0  # arrays

    def find_class(self, module: str, name: str) -> _Named:
        self._names.add((module, name))
        if len(self._names) > _MOST_NAMES:
            raise ValueError("it names too much")
        if self._knows_arrays and name.rpartition(".")[2] in _READERS:
            if (module, name) != _ARRAY:
                raise ValueError(f"{module}.{name} is no name by which joblib writes an array")
            self._named += 1
        return _Named(module, name)

    def persistent_load(self, pid: object) -> object:
        return _Made(None, pid)

    def get_extension(self, code: int) -> None:
        raise ValueError(f"it uses the extension {code}, which is not known")

    def _reduce(self) -> None:
        arguments = self.stack.pop()
        by = self.stack[-1]
        if isinstance(by, _Named) and tuple(by) in _RECONSTRUCTORS and _is_array(arguments):
            by = arguments[0]  # as protocols 0 and 1 have it
        self._made += _is_named(by, _ARRAY)
        self.stack[-1] = _Made(by, arguments)

    def _again(self, push: Callable[[Any], None]) -> None:
        """Push what the memo holds, or what is on top, once more."""
        push(self)
        self._shared[id(self.stack[-1])] = self.stack[-1]
        self._named += _is_named(self.stack[-1], _ARRAY)

    def _stop(self) -> None:
        """End; an array that is made otherwise than joblib does hides what is read of it."""
        if not self._named == self._made == self._built:
            raise ValueError("an array is made in another way than joblib makes one")
        raise _Stop(self.stack.pop())

    def _newobj_ex(self) -> None:
        keywords = self.stack.pop()
        arguments = self.stack.pop()
        self.stack[-1] = _Made(self.stack[-1], (arguments, keywords))

    def _obj(self) -> None:
        by, *arguments = self.pop_mark()
        self.append(_Made(by, arguments))

    def _inst(self) -> None:
        module, name = (self.readline()[:-1].decode("ascii") for _ in range(2))
        arguments = self.pop_mark()
        self.append(_Made(self.find_class(module, name), arguments))

    def _build(self) -> None:
        state = self.stack.pop()
        made = self.stack[-1]
        if isinstance(made, _Named):
            raise pickle.UnpicklingError(f"it changes {made.module}.{made.name} itself")
        by = made.by if isinstance(made, _Made) else None
        if _is_named(by, _TYPE):
            self._states[id(made)] = made, state
        if _is_named(by, _ARRAY) and self._knows_arrays:
            if {id(state), id(made)} & self._shared.keys():
                raise ValueError("what an array is may have been changed meanwhile")
            self._skip_array(dict(_texts(state)))
            self._built += 1
            self.stack[-1] = _Made(None, made)  # the array, of which nothing more is read

    def _skip_array(self, state: dict[str, object]) -> None:
        """Pass over an array as joblib reads it; one of objects is a pickle, which pickle reads."""
        kind = self._size(state.get("dtype"))
        if kind is None:
            if self._depth >= _DEEPEST:
                raise ValueError("it is nested too deeply")
            depth = self._depth + 1
            _Follower(self._stream, self._names, knows_arrays=False, depth=depth).load()
            return
        shape = state.get("shape")
        if not isinstance(shape, tuple) or not all(isinstance(n, int) for n in shape):
            raise ValueError("an array has no shape")
        if state.get("numpy_array_alignment_bytes") is not None:
            padding = self._stream.read(1)
            self._stream.read(padding[0])
        left = prod(shape) * kind
        while left > 0:
            data = self._stream.read(min(left, _CHUNK))
            if not data:
                raise EOFError("it ends inside an array")
            left -= len(data)

    def _size(self, made: object) -> int | None:
        """Give the bytes of an array's element; None where it holds objects."""
        if not isinstance(made, _Made) or not _is_named(made.by, _TYPE):
            raise ValueError("an array is of a type that is not known")
        code = made.arguments[0] if isinstance(made.arguments, tuple) and made.arguments else None
        found = _DTYPE.fullmatch(code) if isinstance(code, str) else None
        if found is None:
            raise ValueError("an array is of a type that is not known")
        letter, size = found[1], int(found[2]) * (4 if found[1] == "U" else 1)
        _, state = self._states.get(id(made), (made, None))
        if state is None:
            return None if letter == "O" else size
        *_, stated, _, flags = state[:_STATE] if isinstance(state, tuple) else (None, None, None)
        if not isinstance(flags, int) or stated != (size if letter in "SUV" else -1):
            raise ValueError("an array is of a type that is not known")
        return None if flags & _OBJECTS else size

    def _empty_pairs(self) -> None:
        self.append(_Pairs())

    def _pairs(self) -> None:
        items = self.pop_mark()
        self.append(_Pairs(zip(items[::2], items[1::2], strict=False)))

    def _setitem(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._put([(key, value)])

    def _setitems(self) -> None:
        items = self.pop_mark()
        self._put(list(zip(items[::2], items[1::2], strict=False)))

    def _put(self, pairs: list[tuple[object, object]]) -> None:
        if isinstance(self.stack[-1], _Pairs):
            self.stack[-1].extend(pairs)

    def _drop_one(self) -> None:
        self.stack.pop()

    def _drop(self) -> None:
        self.pop_mark()

    def _gathered(self) -> None:
        items = self.pop_mark()  # which puts another `append` in place
        self.append(_Made(None, items))

    def _empty(self) -> None:
        self.append(_Made(None, None))

    for _opcode, _method in (
        (pickle.REDUCE, _reduce), (pickle.NEWOBJ, _reduce), (pickle.NEWOBJ_EX, _newobj_ex),
        (pickle.OBJ, _obj), (pickle.INST, _inst), (pickle.BUILD, _build),
        (pickle.EMPTY_DICT, _empty_pairs), (pickle.DICT, _pairs), (pickle.SETITEM, _setitem),
        (pickle.SETITEMS, _setitems), (pickle.APPEND, _drop_one), (pickle.APPENDS, _drop),
        (pickle.EMPTY_SET, _empty), (pickle.ADDITEMS, _drop), (pickle.FROZENSET, _gathered),
        (pickle.EMPTY_LIST, _empty), (pickle.LIST, _gathered),
        (pickle.STOP, _stop),
    ):  # fmt: skip
        dispatch[_opcode[0]] = _method
    for _opcode in (pickle.GET, pickle.BINGET, pickle.LONG_BINGET, pickle.DUP):
        dispatch[_opcode[0]] = partial(_again, push=dispatch[_opcode[0]])


def _is_named(by: object, name: tuple[str, str]) -> bool:
    return isinstance(by, _Named) and tuple(by) == name


def _is_array(arguments: object) -> bool:
    return isinstance(arguments, tuple) and bool(arguments) and _is_named(arguments[0], _ARRAY)


def _texts(state: object) -> Iterator[tuple[str, object]]:
    if not isinstance(state, _Pairs):
        raise pickle.UnpicklingError("what an array is, is not said as joblib says it")
    for key, value in state:
        if not isinstance(key, str):
            raise pickle.UnpicklingError("what an array is, is not said as joblib says it")
        yield key, value
