"""Reads the part of the Dockerfile language that our images use."""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Instruction", "Stage", "read_dockerfile"]

_HEREDOC = re.compile(r"<<-?\w+")


@dataclass(frozen=True)
class Instruction:
    """One instruction: its keyword in capitals and the rest of its line."""

    keyword: str
    text: str

    @property
    def words(self) -> list[str]:
        """The items of the JSON form, or the words of the line."""
        if self.text.startswith("["):
            return [str(item) for item in json.loads(self.text)]
        return self.text.split()


@dataclass
class Stage:
    """What one FROM begins."""

    base: str
    name: str
    instructions: list[Instruction] = field(default_factory=list)

    def last(self, keyword: str) -> Instruction | None:
        """The instruction that counts of those that replace each other."""
        found = [each for each in self.instructions if each.keyword == keyword]
        return found[-1] if found else None


def read_dockerfile(path: Path) -> list[Stage]:
    """The stages of a file, in order. Raises ValueError for what is not understood."""
    stages: list[Stage] = []
    pending = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.lstrip().startswith("#") or not (pending or line.strip()):
            continue
        pending += line.rstrip()
        if pending.endswith("\\"):
            pending = pending[:-1].rstrip() + " "
            continue
        keyword, _, text = " ".join(pending.split()).partition(" ")
        pending = ""
        if _HEREDOC.search(text):
            raise ValueError(f"{path}: here-documents are not read")
        if keyword.upper() == "FROM":
            words = text.split()
            if words[1:2] not in ([], ["AS"]):
                raise ValueError(f"{path}: FROM {text} is not understood")
            stages.append(Stage(words[0], words[2] if len(words) > 2 else ""))
        else:
            stages[-1].instructions.append(Instruction(keyword.upper(), text))
    if pending:
        raise ValueError(f"{path}: the last instruction is not finished")
    return stages
