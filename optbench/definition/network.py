"""The records of a sweep's model: dense layers, or a function of a person's own that makes a Keras model."""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

ACTIVATIONS = ("elu", "gelu", "relu", "selu", "sigmoid", "silu", "softplus", "tanh")


@dataclass(frozen=True)
class MlpModel:
    """Dense layers: the units of each hidden layer, their activation, and the dropout after each of them.

    `dropout` belongs to every trial. A sweep that searches for it has a hyperparameter of that name instead.
    """

    hidden: tuple[int, ...] = (128,)
    activation: str = "relu"
    dropout: float = 0.0

    def plain(self) -> dict[str, Any]:
        """The model as [model] has it."""
        return asdict(self) | {"hidden": list(self.hidden)}

    def identity(self) -> dict[str, Any]:
        """What a fingerprint has of the model."""
        return self.plain()


@dataclass(frozen=True)
class BuiltModel:
    """A network that a function makes.

    `build` is FILE:FUNCTION, with an absolute path, or MODULE:FUNCTION. `source` is the text of the file or module, so
    that workers elsewhere and later replays have what was trained.
    """

    build: str
    source: str
    arguments: Mapping[str, Any] = field(default_factory=dict)

    @property
    def place(self) -> str:
        """The file or the module of the function."""
        return self.build.rpartition(":")[0]

    @property
    def function(self) -> str:
        """The name of the function."""
        return self.build.rpartition(":")[2]

    @property
    def file(self) -> Path | None:
        """The file of the function; None if it is in a module."""
        return Path(self.place) if self.place.endswith(".py") else None

    @property
    def shown(self) -> str:
        """The function as messages name it: models.py:cnn."""
        return f"{self.file.name if self.file else self.place}:{self.function}"

    @property
    def sha256(self) -> str:
        """A short hash of the source: 16 hexadecimal digits."""
        return hashlib.sha256(self.source.encode()).hexdigest()[:16]

    def plain(self) -> dict[str, Any]:
        """The model as [model] has it: without the source."""
        return {"build": self.build, "arguments": dict(self.arguments)}

    def identity(self) -> dict[str, Any]:
        """What a fingerprint has of the model: not where its file is."""
        return {"function": self.function, "arguments": dict(self.arguments), "sha256": self.sha256}


Model = MlpModel | BuiltModel
