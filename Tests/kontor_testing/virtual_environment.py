"""Programs from PyPI for tests, in virtual environments below `.build`, with exactly the versions that are asked for."""

import sys
from pathlib import Path

from Tests.kontor_testing.programs import REPOSITORY, run_program

INSTALL_SECONDS = 600


async def installed(name: str, *requirements: Path) -> Path:
    """The directory with the programs of the environment `name`, which has what these files ask for."""
    directory = REPOSITORY / ".build" / name
    mark = directory / "installed.txt"
    wanted = "\n".join(path.read_text() for path in requirements)
    if not mark.exists() or mark.read_text() != wanted:
        words = [word for path in requirements for word in ("-r", path)]
        for command in ([sys.executable, "-m", "venv", "--clear", directory],
                        [directory / "bin" / "pip", "install", "--quiet", *words]):
            code, output = await run_program(INSTALL_SECONDS, *command)
            if code != 0:
                raise AssertionError(f"what {name} needs cannot be installed:\n{output}")
        mark.write_text(wanted)
    return directory / "bin"
