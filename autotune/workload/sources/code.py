"""Code of the study's own: imported, called, and its surroundings put back afterwards.

What it may change of the process is put back: the path, what it imported from the study's folder,
the current folder, where is read from and written to. It is no sandbox: code that means harm can do
all that the user can, which is why that of another's study runs only when told.
"""

import contextlib
import importlib
import importlib.machinery
import importlib.util
import inspect
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, TypeVar

from autotune.errors import InputCodeError, SourceError
from autotune.workload.inputs import Inputs
from autotune.workload.listing import why_unreadable
from autotune.workload.ports import PortFacts
from autotune.workload.sources.found import Sample, sample_of
from autotune.workload.words import IN_LOG, one_line, shown

T = TypeVar("T")
_PREFIX = "_study_"
"""Before the name under which the study's module is loaded, which so hides nobody else's."""


@contextlib.contextmanager
def surroundings(folder: Path) -> Iterator[None]:
    """What a study's code finds: its folder is the current one, and the last one on the path.

    The last, so that a `json.py` or a `numpy.py` that lies there is not imported in the place of
    the one that we, or a package that it needs, mean. What is imported from there leaves
    `sys.modules` again. Nothing can be read from stdin, where a worker's commands come from; what
    is printed goes to stderr, which is a worker's log.

    Raises:
        SourceError: the folder cannot be gone to.
    """
    path, modules, hooks = list(sys.path), dict(sys.modules), list(sys.path_hooks)
    stderr = sys.stderr
    with contextlib.ExitStack() as stack:
        stack.enter_context(_in_folder(folder))
        stack.enter_context(_no_stdin())
        stack.enter_context(contextlib.redirect_stdout(sys.stderr))
        sys.path_hooks.insert(0, _finder_within(folder))
        _forget_finders(folder)
        sys.path.append(str(folder))
        importlib.invalidate_caches()
        try:
            yield
        finally:
            sys.path[:], sys.path_hooks[:], sys.stderr = path, hooks, stderr
            _forget_finders(folder)
            _forget_modules(modules, folder)


def function_of(inputs: Inputs) -> Callable[..., Any]:
    """The study's function, ready to be called within `surroundings`.

    Raises:
        SourceError: its file cannot be imported, or has no such function.
    """
    file, folder = inputs.function_file, home_of(inputs)
    if file is None:
        raise SourceError("no function is named; write module:function")
    why = why_unreadable(file)
    if why is not None:
        raise SourceError(f"{shown(file)}: {why}")
    module = guarded(
        lambda: _imported(file, folder), shown(file.name), inputs, "while it was imported"
    )
    has = [name for name, one in vars(module).items() if inspect.isfunction(one)]
    if inputs.function not in vars(module):
        named = ", ".join(name for name in has if not name.startswith("_")) or "none"
        raise SourceError(f"{shown(file)}: has no function {inputs.function!r}; it has {named}")
    function = vars(module)[inputs.function]
    label = f"{shown(file.name)}:{inputs.function}"
    if not callable(function):
        raise SourceError(f"{label} is no function, but a {type(function).__name__}")
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise SourceError(f"{label} is async; write it as an ordinary function")
    return function  # type: ignore[no-any-return]  # what `callable` says of an Any


def check_call(function: Callable[..., Any], label: str, *given: object) -> None:
    """Refuse a function that cannot be called so.

    Raises:
        SourceError: it has other parameters.
    """
    try:
        signature = inspect.signature(function)
    except (ValueError, TypeError):  # one of C's, which does not say
        return
    try:
        signature.bind(*given)
    except TypeError:
        wanted = "with nothing" if not given else "with one line of text"
        raise SourceError(f"{label} is called {wanted}, and takes {signature}") from None


def home_of(inputs: Inputs) -> Path:
    """The folder that is on the path while the function runs."""
    assert inputs.function_file is not None  # noqa: S101 - for the type checker
    return inputs.folder or inputs.function_file.parent


def guarded(call: Callable[[], T], label: str, inputs: Inputs, when: str = "") -> T:
    """What the user's code gives; whatever it raises is one line, and its traceback is in the log.

    Raises:
        SourceError: it raised, or left.
    """
    try:
        return call()
    except BaseException as error:  # noqa: BLE001 - also SystemExit and the like: it is the user's
        failure, is_traced = _told(error, label, inputs, when), not isinstance(error, MemoryError)
    kind = InputCodeError if is_traced else SourceError
    raise kind(failure)  # here, so that it holds nothing of what the code had in memory


def made_sample(
    value: Any, ports: Sequence[PortFacts], what: str, inputs: Inputs, unknown: set[str]
) -> Sample:
    """What the code gave as a sample; a dictionary or an array of its own may run it again.

    Raises:
        SourceError: it is none.
    """
    fault: list[SourceError] = []

    def made() -> Sample:
        try:
            return sample_of(value, ports, what, unknown)
        except SourceError as error:  # ours to say, and no fault of the code's
            fault.append(error)
            return {}

    sample = guarded(made, what, inputs)
    if fault:
        raise fault[0]
    return sample


def _told(error: BaseException, label: str, inputs: Inputs, when: str) -> str:
    line = _line(error, inputs)
    # Before anything is written: what the frames hold may be all the memory that there is.
    traceback.clear_frames(error.__traceback__)
    with contextlib.suppress(Exception):  # a strange exception may not even be printed
        traceback.print_exception(error, file=sys.stderr)
        sys.stderr.flush()
    where = " ".join(filter(None, [when, line and f"({line})"]))
    name = type(error).__name__
    if isinstance(error, MemoryError):
        said = f"{label} ran out of the memory that it may take"
        way_out = "yield smaller or fewer samples, one at a time, or raise its limit"
    elif isinstance(error, ModuleNotFoundError) and error.name:
        said = f"{label} needs the module {shown(error.name)!r}, which is not there"
        way_out = "install it beside autotune, or put it into the study's folder"
    elif isinstance(error, SystemExit):
        said = f"{label} left with sys.exit({_said(lambda: repr(error.code))})"
        way_out = "have it return instead"
    else:
        text = _said(lambda: str(error))
        said = f"{label} raised {name}" + (f": {text}" if text else "")
        way_out = IN_LOG
    return f"{said}{' ' if where else ''}{where}; {way_out}"


def _said(text: Callable[[], str]) -> str:
    """What a strange object says of itself, if it can."""
    with contextlib.suppress(Exception):
        return one_line(text())
    return ""


def _line(error: BaseException, inputs: Inputs) -> str:
    """The innermost line of the study's own that raised it."""
    if isinstance(error, SyntaxError) and error.filename and error.lineno:
        return f"line {error.lineno} of {shown(Path(error.filename).name)}"
    file, folder = str(inputs.function_file), home_of(inputs)
    own = ""
    for one in (error.__cause__, error):  # a generator's own StopIteration is a cause
        for frame, number in traceback.walk_tb(None if one is None else one.__traceback__):
            name = frame.f_code.co_filename
            if name == file or _lies_in(name, folder):
                own = f"line {number} of {shown(Path(name).name)}"
    return own


def _lies_in(name: object, folder: Path) -> bool:
    """Whether a file is of the study's own: its environment may lie beside it."""
    if not isinstance(name, str) or not Path(name).is_relative_to(folder):
        return False
    return not {"site-packages", "dist-packages"} & set(Path(name).relative_to(folder).parts)


class _FreshLoader(importlib.machinery.SourceFileLoader):
    """Compiles what the file says now: compiled code beside it may be of another source."""

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


def _finder_within(folder: Path) -> Callable[[str], Any]:
    """A path hook for the study's folder and the packages in it."""
    make = importlib.machinery.FileFinder.path_hook(
        (importlib.machinery.ExtensionFileLoader, importlib.machinery.EXTENSION_SUFFIXES),
        (_FreshLoader, importlib.machinery.SOURCE_SUFFIXES),
    )

    def hook(path: str) -> Any:
        if not _lies_in(path, folder):
            raise ImportError
        return make(path)

    return hook


def _forget_finders(folder: Path) -> None:
    for path in list(sys.path_importer_cache):
        if _lies_in(path, folder):
            del sys.path_importer_cache[path]


def _imported(file: Path, folder: Path) -> ModuleType:
    """The module of a file, within its packages, so that `from . import` finds its neighbours."""
    parts, home = [file.stem] if file.stem != "__init__" else [], file.parent
    packages: list[Path] = []
    while home != folder and home.is_relative_to(folder) and (home / "__init__.py").is_file():
        packages.insert(0, home)
        home = home.parent
    name, module = "", None
    for package in packages:
        name = f"{name}.{package.name}" if name else _PREFIX + package.name
        module = _executed(name, package / "__init__.py")
    if parts or module is None:
        stem = file.stem
        module = _executed(f"{name}.{stem}" if name else _PREFIX + stem, file)
    return module


def _executed(name: str, file: Path) -> ModuleType:
    is_package = file.name == "__init__.py"
    spec = importlib.util.spec_from_file_location(
        name,
        file,
        loader=_FreshLoader(name, str(file)),
        submodule_search_locations=[str(file.parent)] if is_package else None,
    )
    assert spec is not None  # noqa: S101 - for the type checker
    assert spec.loader is not None  # noqa: S101 - for the type checker
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _forget_modules(before: Mapping[str, ModuleType], folder: Path) -> None:
    """Have those that were there before be there, and none of the study's."""
    new = {name: module for name, module in sys.modules.items() if name not in before}
    own = {name for name, module in new.items() if _is_of(module, name, folder)}
    packages = {name.partition(".")[0] for name in own} - {
        name.partition(".")[0] for name in before
    }
    for name in new:
        if name in own or name.partition(".")[0] in packages:
            sys.modules.pop(name, None)
    sys.modules.update(before)


def _is_of(module: object, name: str, folder: Path) -> bool:
    """Whether a module was imported from the study's folder."""
    if name.startswith(_PREFIX):
        return True
    if name.partition(".")[0] == "autotune":  # the study may lie around a checkout of ours
        return False
    try:
        places = [getattr(module, "__file__", None), *(getattr(module, "__path__", None) or ())]
    except Exception:  # noqa: BLE001 - anything can be put into sys.modules
        return True
    return any(_lies_in(place, folder) for place in places)


@contextlib.contextmanager
def _in_folder(folder: Path) -> Iterator[None]:
    """Relative paths are the study's, from wherever it is tuned."""
    before: int | None = None
    with contextlib.suppress(OSError):  # the current folder may be gone
        before = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.chdir(folder)
    except OSError as error:
        raise SourceError(f"{shown(folder)}: {error.strerror}") from None
    try:
        yield
    finally:
        if before is not None:
            with contextlib.suppress(OSError):
                os.fchdir(before)
            os.close(before)


@contextlib.contextmanager
def _no_stdin() -> Iterator[None]:
    """An end of file for `input()`, and for the processes that the code starts."""
    kept, stream = None, sys.stdin
    with contextlib.suppress(OSError):  # there may be none
        kept = os.dup(0)
    with open(os.devnull, encoding="utf-8") as nothing:  # noqa: PTH123 - a name of the system's
        if kept is not None:
            os.dup2(nothing.fileno(), 0)
        sys.stdin = nothing
        try:
            yield
        finally:
            sys.stdin = stream
            if kept is not None:
                os.dup2(kept, 0)
                os.close(kept)
