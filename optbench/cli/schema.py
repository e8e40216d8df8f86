"""The command that prints the JSON Schema of sweep files."""

from optbench.cli.options import app


@app.command()
def schema() -> None:
    """Print the JSON Schema by which editors complete and check sweep files. Example: optbench schema > schema.json"""
    from optbench.definition.schema import schema_text

    print(schema_text(), end="")
