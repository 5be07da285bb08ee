"""Our own source code, as the tests of its structure read it."""

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGES = ("coordinator", "agents", "shared")


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@cache
def trees() -> dict[str, ast.Module]:
    """Return all modules of ours that hold more than a docstring."""
    paths = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    parsed = {module_name(path): ast.parse(path.read_text()) for path in paths}
    return {name: tree for name, tree in parsed.items() if len(tree.body) > 1}


def imports_of(tree: ast.Module) -> set[str]:
    """Return the absolute names that a module imports, those inside functions too."""
    nodes = list(ast.walk(tree))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    named = {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom) and not node.level}
    late = {
        str(node.args[0].value)
        for node in nodes
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) == "importlib.import_module"
        and isinstance(node.args[0], ast.Constant)
    }
    return plain | named | late
