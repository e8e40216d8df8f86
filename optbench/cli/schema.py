"""The command that prints the JSON Schema of sweep files."""

from optbench.cli.options import app
from optbench.cli.output import write_text


@app.command()
def schema() -> None:
    """Print the JSON Schema that lets editors complete and check sweep files. Example: optbench schema > schema.json"""
    from optbench.definition.schema import schema_text

    write_text(schema_text())
