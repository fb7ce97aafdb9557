"""Prints setup.py's lower bounds as pins: constraints for pip, see `make test-lowest`."""

import ast
from pathlib import Path

SETUP = Path(__file__).parent.parent / "setup.py"


def requirements(source: str, name: str) -> list[str]:
    """The list of strings that a module assigns to ``name``."""
    for statement in ast.parse(source).body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == name:
            found: list[str] = ast.literal_eval(statement.value)
            return found
    raise SystemExit(f"setup.py assigns no {name}")


if __name__ == "__main__":
    for name in ("INSTALL_REQUIRES", "CLIENT_REQUIRES", "REDIS_REQUIRES"):
        for requirement in requirements(SETUP.read_text(encoding="utf-8"), name):
            print(requirement.replace(">=", "=="))
