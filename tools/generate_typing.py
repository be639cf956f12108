"""Write ``logos_shift_openai/client/typed_resources.pyi`` from the installed ``openai`` package.

Owns the generated part of the typing: the SDK's methods whose answers carry an id, sync and async, plain,
raw and streamed, and the constructors with their one argument more. The rule: parameters are copied from the
SDK's source as they stand there; nothing about them is decided here, what is not as expected is an error.

    python tools/generate_typing.py            # write the file
    python tools/generate_typing.py --check    # exit 1 when it is not what the installed SDK gives
"""

from __future__ import annotations

import argparse
import ast
import importlib.metadata
import importlib.util
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

OUTPUT = Path(__file__).resolve().parent.parent / "logos_shift_openai" / "client" / "typed_resources.pyi"
WIDTH = 110

Function = ast.FunctionDef | ast.AsyncFunctionDef


class SourceChangedError(Exception):
    """The SDK's source is not built as this generator knows it."""


# --- what is written


@dataclass(frozen=True)
class Resource:
    """One resource of a client: where it stands in the SDK and what its answers are called there and here."""

    name: str  # ours, and the start of the names of its parts
    package: str  # the SDK's package that offers it and its raw and streamed forms
    module: str  # the SDK's module its source is in
    sdk_name: str
    answer: str  # the SDK's class; ours is Tagged + the same
    chunk: str | None = None  # what a stream of it gives in the SDK
    our_chunk: str = ""
    parsed: str | None = None  # the SDK's generic class that parse() gives
    type_variable: str = ""
    kept: tuple[str, ...] = ()  # methods that older SDKs have elsewhere; declared as the newest one has them


RESOURCES = (
    Resource(
        "ChatCompletions",
        "openai.resources.chat",
        "openai.resources.chat.completions.completions",
        "Completions",
        "ChatCompletion",
        chunk="ChatCompletionChunk",
        our_chunk="TaggedChatCompletionChunk",
        parsed="ParsedChatCompletion",
        type_variable="ResponseFormatT",
        kept=("stream",),
    ),
    Resource(
        "Completions",
        "openai.resources",
        "openai.resources.completions",
        "Completions",
        "Completion",
        chunk="Completion",
        our_chunk="TaggedCompletion",
    ),
    Resource(
        "Embeddings",
        "openai.resources",
        "openai.resources.embeddings",
        "Embeddings",
        "CreateEmbeddingResponse",
    ),
    Resource(  # the events of its stream are a union of the SDK's classes, so the id is on the stream alone
        "Responses",
        "openai.resources.responses",
        "openai.resources.responses.responses",
        "Responses",
        "Response",
        chunk="ResponseStreamEvent",
        our_chunk="ResponseStreamEvent",
        parsed="ParsedResponse",
        type_variable="TextFormatT",
    ),
)
CONSTRUCTORS = {
    "OpenAI": "openai._client",
    "AsyncOpenAI": "openai._client",
    "AzureOpenAI": "openai.lib.azure",
    "AsyncAzureOpenAI": "openai.lib.azure",
}
OUR_ARGUMENT = "logos_shift: LogosShift | None = ..."

# Types of the SDK that its last 2.x does not have. A TypedDict or an alias means the same wherever it is
# written, so these are copied into the file instead of imported from a place that may not be there.
COPIED = {
    "openai._data_residency.DataResidency",
    "openai.auth._workload.X509WorkloadIdentity",
    "openai.types.responses.response_create_params.AccessPrograms",
    "openai.types.responses.response_create_params.BackgroundOptions",
    "openai.types.responses.response_create_params.Image",
    "openai.types.responses.service_tier.ServiceTier",
}
# The HTTP package differs between versions of the SDK; its names are asked for where all of them have them.
HTTP_PACKAGES = ("httpx", "httpx2")
HTTP_NAMES = {
    "Timeout": "openai",
    "Client": ".typed_http",
    "AsyncClient": ".typed_http",
    "URL": ".typed_http",
}
TYPING = ("typing", "typing_extensions", "collections.abc")
IMPORTED = {
    ".logos_shift": ("LogosShift",),
    ".typed_answers": (
        "Pair",
        "TaggedAsyncResponseContextManager",
        "TaggedAsyncStream",
        "TaggedChatCompletion",
        "TaggedChatCompletionChunk",
        "TaggedCompletion",
        "TaggedCreateEmbeddingResponse",
        "TaggedParsedChatCompletion",
        "TaggedParsedResponse",
        "TaggedRawResponse",
        "TaggedResponse",
        "TaggedResponseContextManager",
        "TaggedStream",
    ),
    "openai": ("AsyncStream", "Stream"),
    "openai._compat": ("cached_property",),
    "openai.types": ("Completion", "CreateEmbeddingResponse"),
    "openai.types.chat": ("ChatCompletion", "ChatCompletionChunk"),
    "openai.types.responses": ("Response", "ResponseStreamEvent"),
    "typing_extensions": (
        *("Any", "Awaitable", "Callable", "Concatenate", "Coroutine", "Generic", "ParamSpec"),
        *("TypeAlias", "TypeVar", "overload"),
    ),
}
HELPERS = """\
_P = ParamSpec("_P")
_T = TypeVar("_T")
_AnswerT = TypeVar("_AnswerT")
_StreamT = TypeVar("_StreamT")
_EitherT = TypeVar("_EitherT")
_PlainT = TypeVar("_PlainT")
_TaggedT = TypeVar("_TaggedT")
_Coro: TypeAlias = Coroutine[Any, Any, _T]

# A generic method as `with_raw_response` and `with_streaming_response` give it; the SDK types its own so.
def _raw(
    method: Callable[Concatenate[Any, _P], Pair[_PlainT, _TaggedT]],
) -> Callable[Concatenate[Any, _P], TaggedRawResponse[_PlainT, _TaggedT]]: ...
def _async_raw(
    method: Callable[Concatenate[Any, _P], Awaitable[Pair[_PlainT, _TaggedT]]],
) -> Callable[Concatenate[Any, _P], Awaitable[TaggedRawResponse[_PlainT, _TaggedT]]]: ...
def _streamed(
    method: Callable[Concatenate[Any, _P], Pair[_PlainT, _TaggedT]],
) -> Callable[Concatenate[Any, _P], TaggedResponseContextManager[_PlainT, _TaggedT]]: ...
def _async_streamed(
    method: Callable[Concatenate[Any, _P], Awaitable[Pair[_PlainT, _TaggedT]]],
) -> Callable[Concatenate[Any, _P], TaggedAsyncResponseContextManager[_PlainT, _TaggedT]]: ...
"""


# --- reading the SDK


class Source:
    """One module of the installed SDK, read and never run."""

    def __init__(self, name: str) -> None:
        package = importlib.util.find_spec("openai")
        if package is None or package.origin is None:
            raise SourceChangedError("openai is not installed")
        folder = Path(package.origin).parent.joinpath(*name.split(".")[1:])
        self.name = name
        self._is_package = folder.is_dir()
        file = folder / "__init__.py" if self._is_package else folder.with_suffix(".py")
        if not file.exists():
            raise SourceChangedError(f"{name} is not in the installed openai package")
        self.tree = ast.parse(file.read_text(encoding="utf-8"))

    def signatures(self, class_name: str, method: str) -> list[Function]:
        """Give the overloads of a method, or its one signature when it has none."""
        owner = self.definition(class_name)
        body = owner.body if isinstance(owner, ast.ClassDef) else []
        found = [
            node for node in body if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name == method
        ]
        if not found:
            raise SourceChangedError(f"{self.name}.{class_name} has no method {method}")
        return [node for node in found if _is_overload(node)] or found

    def origin(self, name: str) -> tuple[str, str] | None:
        """Give (module, name) of what a name stands for in this module, or None for a builtin."""
        for node in ast.walk(self.tree):
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                for alias in node.names:
                    if (alias.asname or alias.name) == name:
                        return (self._absolute(node), alias.name)
        return (self.name, name) if self._definition(name) else None

    def definition(self, name: str) -> ast.stmt:
        """Give the statement that defines a name in this module."""
        node = self._definition(name)
        if node is None:
            raise SourceChangedError(f"{self.name} does not define {name}")
        return node

    def _definition(self, name: str) -> ast.stmt | None:
        for node in self.tree.body:
            targets: list[ast.expr] = []
            if isinstance(node, ast.ClassDef) and node.name == name:
                return node
            if isinstance(node, ast.Assign):
                targets = node.targets
            elif isinstance(node, ast.AnnAssign):
                targets = [node.target]
            if any(isinstance(target, ast.Name) and target.id == name for target in targets):
                return node
        return None

    def _absolute(self, node: ast.Import | ast.ImportFrom) -> str:
        if isinstance(node, ast.Import):
            return node.names[0].name
        if not node.level:
            return node.module or ""
        parts = self.name.split(".")
        kept = parts[: len(parts) - node.level + self._is_package]
        return ".".join([*kept, *([node.module] if node.module else [])])


def _is_overload(node: Function) -> bool:
    return any(isinstance(mark, ast.Name) and mark.id == "overload" for mark in node.decorator_list)


def _home(module: str, name: str) -> tuple[str, str]:
    """Follow re-exports to the module that defines a name, and give both."""
    while module.partition(".")[0] == "openai":
        origin = Source(module).origin(name)
        if origin is None or origin == (module, name):
            break
        module, name = origin
    return module, name


# --- names and annotations


class Names:
    """The imports and copied definitions the file needs; one meaning for each name."""

    def __init__(self) -> None:
        self._origins: dict[str, tuple[str, str]] = {}
        self.copied: dict[str, str] = {}

    def add(self, local: str, module: str, name: str) -> None:
        """Take a name in; two meanings for one name are an error, never a silent choice."""
        if self._origins.setdefault(local, (module, name)) != (module, name):
            raise SourceChangedError(f"{local} is {'.'.join(self._origins[local])} and {module}.{name}")

    def import_lines(self) -> Iterator[str]:
        """Give one import for each module, packed."""
        modules: dict[str, set[str]] = {}
        for local, (module, name) in self._origins.items():
            modules.setdefault(module, set()).add(local if local == name else f"{name} as {local}")
        for module in sorted(modules, key=lambda m: (m.startswith("."), m)):
            names = sorted(modules[module])
            line = f"from {module} import {', '.join(names)}"
            if len(line) > WIDTH:
                packed = _packed((f"{name}," for name in names), 4)
                line = f"from {module} import (\n{packed}\n)"
            yield line


class Annotations(ast.NodeTransformer):
    """Rewrites one module's annotations so that they mean the same in the generated file."""

    def __init__(self, source: Source, names: Names) -> None:
        self._source = source
        self._names = names

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        """Turn ``httpx2.Timeout`` into ``Timeout``; keep ``some_params.Name``, or copy what it names."""
        origin = self._source.origin(node.value.id) if isinstance(node.value, ast.Name) else None
        if origin is None or not isinstance(node.value, ast.Name):
            raise SourceChangedError(f"an annotation in {self._source.name} reads {ast.unparse(node)}")
        if origin[0] in HTTP_PACKAGES:
            return self._http_name(node.attr)
        module = ".".join(origin)
        if f"{module}.{node.attr}" in COPIED:
            return self._copy(module, node.attr)
        self._names.add(node.value.id, *origin)
        return node

    def visit_Name(self, node: ast.Name) -> ast.expr:
        """Import a name from where the module has it, or copy what it names."""
        origin = self._source.origin(node.id) if isinstance(node.ctx, ast.Load) else None
        if origin is None:
            return node
        home, name = _home(*origin)
        if home in HTTP_PACKAGES:
            return self._http_name(name)
        if f"{home}.{name}" in COPIED:
            return self._copy(home, name)
        module = "typing_extensions" if origin[0] in TYPING else origin[0]
        self._names.add(node.id, module, origin[1])
        return node

    def _http_name(self, name: str) -> ast.expr:
        if name not in HTTP_NAMES:
            raise SourceChangedError(f"no place is known for the HTTP name {name}")
        self._names.add(name, HTTP_NAMES[name], name)
        return ast.Name(name)

    def _copy(self, module: str, name: str) -> ast.expr:
        if name not in self._names.copied:
            source = Source(module)
            node = source.definition(name)
            if isinstance(node, ast.ClassDef):
                node.body = [part for part in node.body if isinstance(part, ast.AnnAssign)]
            self._names.copied[name] = ast.unparse(Annotations(source, self._names).visit(node))
        return ast.Name(name)


# --- writing


def _packed(pieces: Iterable[str], indent: int) -> str:
    """Put whole pieces on lines, as many as fit; a piece is never broken."""
    lines: list[str] = []
    for piece in pieces:
        if lines and indent + len(lines[-1]) + 1 + len(piece) <= WIDTH:
            lines[-1] += f" {piece}"
        else:
            lines.append(piece)
    return "\n".join(" " * indent + line for line in lines)


def _class(name: str, bases: Iterable[str] = (), body: str = "") -> str:
    head = f"class {name}({', '.join(bases)}):" if bases else f"class {name}:"
    if len(head) > WIDTH:
        pieces = _packed((f"{base}," for base in bases), 4)
        head = f"class {name}(\n{pieces}\n):"
    return f"{head}\n{body}" if body else f"{head} ..."


# The forms of a resource: the helper that makes a method of that form, and what its methods give.
FORMS = {
    "WithRawResponse": ("_raw", "TaggedRawResponse"),
    "WithStreamingResponse": ("_streamed", "Tagged{}ResponseContextManager"),
}


def _create(resource: Resource, answers: list[str]) -> str:
    given = ", ".join(answers)
    if len(given) > WIDTH - 40:
        given = "\n" + "".join(f"        {answer},\n" for answer in answers) + "    "
    return f"_{resource.name}Create[{given}]"


class Writer:
    """Writes the parts of the file; each method gives text and notes the names it used."""

    def __init__(self) -> None:
        self.names = Names()
        for module, names in IMPORTED.items():
            for name in names:
                self.names.add(name, module, name)

    def methods(
        self, module: str, owner: str, method: str, returns: list[str] | None, extra: tuple[str, ...] = ()
    ) -> str:
        """Copy a method's signatures with other return types; None keeps the SDK's, one is for all."""
        source = Source(module)
        nodes = source.signatures(owner, method)
        if returns is not None and len(returns) not in (1, len(nodes)):
            raise SourceChangedError(f"{module}.{owner}.{method} has {len(nodes)} signatures")
        annotations = Annotations(source, self.names)
        parts = []
        for number, node in enumerate(nodes):
            if returns is None:
                assert node.returns is not None
                given = ast.unparse(annotations.visit(node.returns))
            else:
                given = returns[number % len(returns)]
            parameters = _packed((f"{p}," for p in (*_parameters(node, annotations), *extra)), 8)
            # A type variable that stands for the answer stands for the coroutine of an async method as well.
            keyword = "async def" if isinstance(node, ast.AsyncFunctionDef) else "def"
            overload = "    @overload\n" if len(nodes) > 1 else ""
            parts.append(f"{overload}    {keyword} {method}(\n{parameters}\n    ) -> {given}: ...")
        return "\n".join(parts)

    def create(self, resource: Resource) -> str:
        """Write ``create`` once for all forms of a resource: what it gives is the class's type variables."""
        variables = ["_AnswerT", "_StreamT", "_EitherT"] if resource.chunk else ["_AnswerT"]
        body = self.methods(resource.module, resource.sdk_name, "create", variables)
        return _class(f"_{resource.name}Create", [f"Generic[{', '.join(variables)}]"], body)

    def resource(self, resource: Resource, prefix: str) -> Iterator[str]:
        """Write one resource, sync (no prefix) or async, with its raw and its streamed form."""
        name, sdk = f"{prefix}{resource.name}", f"_Sdk{prefix}{resource.name}"
        for form in ("", *FORMS):
            self.names.add(f"{sdk}{form}", resource.package, f"{prefix}{resource.sdk_name}{form}")
        pairs = [(resource.answer, f"Tagged{resource.answer}")]
        if resource.chunk:
            stream, ours = f"{prefix}Stream[{resource.chunk}]", f"_{name}Stream"
            pairs += [(stream, ours), (f"{resource.answer} | {stream}", f"Tagged{resource.answer} | {ours}")]
            yield f"{ours}: TypeAlias = Tagged{prefix}Stream[{resource.chunk}, {resource.our_chunk}]"
        answers = [f"_Coro[{ours}]" if prefix else ours for _, ours in pairs]
        yield _class(name, [_create(resource, answers), sdk], "\n".join(self._body(resource, prefix)))
        for form, (helper, wrapper) in FORMS.items():
            answers = [f"{wrapper.format(prefix)}[{plain}, {ours}]" for plain, ours in pairs]
            if prefix and form == "WithRawResponse":
                answers = [f"Awaitable[{answer}]" for answer in answers]
            bases = [_create(resource, answers), f"{sdk}{form}"]
            if resource.parsed:
                # A class of its own: pyright gives an unannotated name the type it has in a base class.
                bases.insert(1, f"_{name}{form}Parse")
                call = f"{'_async' if prefix else ''}{helper}({name}.parse)"
                yield _class(f"_{name}{form}Parse", body=f"    parse = {call}")
            yield _class(f"{name}{form}", bases)

    def _body(self, resource: Resource, prefix: str) -> Iterator[str]:
        for member, form in zip(("with_raw_response", "with_streaming_response"), FORMS, strict=True):
            yield f"    @cached_property\n    def {member}(self) -> {prefix}{resource.name}{form}: ..."
        owner = f"{prefix}{resource.sdk_name}"
        if resource.parsed:
            answer = f"Tagged{resource.parsed}[{resource.type_variable}]"
            yield self.methods(resource.module, owner, "parse", [answer])
        for method in resource.kept:
            yield self.methods(resource.module, owner, method, None)

    def constructor(self, name: str, module: str) -> str:
        """Write a class with the constructor of one of the SDK's clients, and our argument."""
        return _class(f"{name}Init", body=self.methods(module, name, "__init__", ["None"], (OUR_ARGUMENT,)))


def _parameters(node: Function, annotations: Annotations) -> Iterator[str]:
    arguments = node.args
    if arguments.vararg or arguments.kwarg or arguments.posonlyargs or len(arguments.args) != 1:
        raise SourceChangedError(f"{node.name} takes more than self and keyword arguments")
    yield "self"
    yield "*"
    for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        if argument.annotation is None:
            raise SourceChangedError(f"{node.name}({argument.arg}) has no annotation")
        annotation = ast.unparse(annotations.visit(argument.annotation))
        yield f"{argument.arg}: {annotation}" + ("" if default is None else " = ...")


def generate() -> str:
    """Give the text of the file for the installed SDK."""
    writer = Writer()
    parts = [HELPERS.rstrip()]
    for resource in RESOURCES:
        parts.append(writer.create(resource))
        parts += [*writer.resource(resource, ""), *writer.resource(resource, "Async")]
    parts += [writer.constructor(name, module) for name, module in CONSTRUCTORS.items()]
    version = importlib.metadata.version("openai")
    head = [
        f"# Generated by tools/generate_typing.py from openai {version}; do not edit.",
        "# For type checkers only: what resources take, as the SDK has it, and what they give, with the id.",
        "# ruff: noqa: A002, E501, I001, PYI026, PYI051, Q000, RUF036, UP007, UP035, UP045",
        "# fmt: off",
        *writer.names.import_lines(),
    ]
    return "\n\n".join(["\n".join(head), *writer.names.copied.values(), *parts]) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """Write the file, or with ``--check`` compare it."""
    parser = argparse.ArgumentParser(description="Write the generated part of the typing.")
    parser.add_argument("--check", action="store_true", help="compare instead of writing; exit 1 on a difference")
    options = parser.parse_args(arguments)
    text = generate()
    if options.check:
        same = OUTPUT.exists() and OUTPUT.read_text(encoding="utf-8") == text
        print(f"{OUTPUT.name} is {'' if same else 'not '}what the installed SDK gives")
        return 0 if same else 1
    OUTPUT.write_text(text, encoding="utf-8")
    print(f"wrote {OUTPUT.name} ({len(text.splitlines())} lines)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
