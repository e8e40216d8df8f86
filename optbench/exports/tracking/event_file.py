"""TensorBoard's event files, written and read without TensorFlow.

A file is a row of records: the length of the data in 8 bytes and its checksum in 4, the data, which is an Event, and a
checksum of it in 4. TensorBoard reads on where it stopped, so a file only ever grows. What a killed export left of a
record at the end is cut off before the next one is written.
"""

import io
import os
import struct
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

HEADER, FOOTER = 12, 4
VERSION = "brain.Event:2"
TEXT = "text"  # the plugin that shows texts, and the one that shows hyperparameters
HPARAMS = "hparams"
SESSION_START, SESSION_END = "_hparams_/session_start_info", "_hparams_/session_end_info"


def events_in(path: Path) -> tuple[list[Any], int]:
    """The whole events of a file, and the number of bytes that they take; none if there is no file."""
    from tensorboard.compat.proto.event_pb2 import Event

    content = path.read_bytes() if path.exists() else b""
    found, end = [], 0
    for start, after in _records(content):
        found.append(Event.FromString(content[start:after]))
        end = after + FOOTER
    return found, end


def _records(content: bytes) -> Iterator[tuple[int, int]]:
    """Where the data of each whole record begins and ends."""
    at = 0
    while at + HEADER <= len(content):
        after = at + HEADER + struct.unpack_from("<Q", content, at)[0]
        if after + FOOTER > len(content):
            return
        yield at + HEADER, after
        at = after + FOOTER


def append(path: Path, events: Sequence[Any], at: int) -> None:
    """Write the events to the file after its first `at` bytes, and nothing after them. Raises OSError."""
    from tensorboard.summary.writer.record_writer import RecordWriter

    buffer = io.BytesIO()
    writer = RecordWriter(buffer)
    for event in events:
        writer.write(event.SerializeToString())
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(os.open(path, os.O_CREAT | os.O_WRONLY, 0o666), "wb") as file:
        file.truncate(at)
        file.seek(at)
        file.write(buffer.getvalue())


def first_event(time: float) -> Any:
    """The event that every file begins with."""
    from tensorboard.compat.proto.event_pb2 import Event

    return Event(wall_time=time, file_version=VERSION)


def event_of(time: float, step: int, *values: Any) -> Any:
    """An event with these values."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary

    return Event(wall_time=time, step=step, summary=Summary(value=values))


def scalars(metrics: Mapping[str, float]) -> list[Any]:
    """A value for each metric."""
    from tensorboard.compat.proto.summary_pb2 import Summary

    return [Summary.Value(tag=name, simple_value=value) for name, value in metrics.items()]


def table(tag: str, facts: Mapping[str, Any]) -> Any:
    """A value that TensorBoard shows as a table of the facts."""
    from tensorboard.compat.proto.tensor_pb2 import TensorProto
    from tensorboard.compat.proto.types_pb2 import DT_STRING

    rows = ["| | |", "| --- | --- |", *(f"| {name} | {_cell(value)} |" for name, value in facts.items())]
    return _value(tag, TEXT, b"", TensorProto(dtype=DT_STRING, string_val=["\n".join(rows).encode()]))


def session_start(params: Mapping[str, Any], time: float) -> Any:
    """A value with the hyperparameters of a run."""
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionStartInfo

    info = SessionStartInfo(start_time_secs=time)
    for name, value in params.items():
        field = (
            "bool_value" if isinstance(value, bool) else "string_value" if isinstance(value, str) else "number_value"
        )
        setattr(info.hparams[name], field, value)
    return _session(SESSION_START, HParamsPluginData(version=0, session_start_info=info))


def session_end(succeeded: bool, time: float) -> Any:
    """A value that says how a run ended."""
    from tensorboard.plugins.hparams import api_pb2
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionEndInfo

    status = api_pb2.STATUS_SUCCESS if succeeded else api_pb2.STATUS_FAILURE
    info = SessionEndInfo(status=status, end_time_secs=time)
    return _session(SESSION_END, HParamsPluginData(version=0, session_end_info=info))


def _session(tag: str, data: Any) -> Any:
    from tensorboard.compat.proto.tensor_pb2 import TensorProto
    from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
    from tensorboard.compat.proto.types_pb2 import DT_FLOAT

    nothing = TensorProto(dtype=DT_FLOAT, tensor_shape=TensorShapeProto(dim=[TensorShapeProto.Dim(size=0)]))
    return _value(tag, HPARAMS, data.SerializeToString(), nothing)


def _value(tag: str, plugin: str, content: bytes, tensor: Any) -> Any:
    from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata

    data = SummaryMetadata.PluginData(plugin_name=plugin, content=content)
    return Summary.Value(tag=tag, metadata=SummaryMetadata(plugin_data=data), tensor=tensor)


def _cell(value: Any) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")
