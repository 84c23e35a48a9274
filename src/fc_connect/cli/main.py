"""`fc-connect`: the commands, what they share, and how they end."""

from __future__ import annotations

import sys
import traceback
from typing import Any

import click

from fc_connect.cli.check import check, preview
from fc_connect.cli.demo import demo
from fc_connect.cli.init import init
from fc_connect.cli.mapping import mapping
from fc_connect.cli.options import Settings, say
from fc_connect.cli.profiles import profiles
from fc_connect.cli.prove import prove
from fc_connect.cli.run import run
from fc_connect.cli.sandbox import sandbox
from fc_connect.cli.schema import schema
from fc_connect.cli.state import state
from fc_connect.cli.webhook import webhook
from fc_connect.errors import ConfigurationError, FCConnectError
from fc_connect.observe import mask_secrets

__all__ = ["cli", "main"]

EXIT_CODES = """
\b
Exit codes:
  0    done; nothing failed (also where there was nothing to do)
  1    something failed: a file, or the run as a whole
  2    the command, the pipeline file or the mapping can't be used
  130  stopped (Ctrl-C, SIGTERM); nothing is lost, run again to carry on
"""


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}, epilog=EXIT_CODES
)
@click.version_option(package_name="fc-connect", prog_name="fc-connect")
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="warning",
    show_default=True,
    help="Log lines of this level and above go to standard error.",
)
@click.option("--log-format", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option("--debug", is_flag=True, help="Show the traceback of an error, and log everything.")
@click.pass_context
def cli(context: click.Context, log_level: str, log_format: str, debug: bool) -> None:
    """Move files into Fluent Commerce, each exactly once, whatever crashes.

    \b
    Begin:
      fc-connect demo              see the main job on sample data, without any account
      fc-connect init inventory    write a pipeline to start from
      fc-connect mapping new       write the mapping of a sample file
      fc-connect check             look whether it could run
      fc-connect preview           see what the first records would become
      fc-connect run               run it
    """
    context.obj = Settings(
        log_level="debug" if debug else log_level, json_logs=log_format == "json", debug=debug
    )
    context.obj.apply()


for command in (init, demo, run, preview, check, state, mapping, schema, profiles, webhook, sandbox, prove):
    cli.add_command(command)


def main(arguments: list[str] | None = None) -> Any:
    """Run the command line and exit: what goes wrong is told in words, without a traceback unless `--debug`."""
    given = sys.argv[1:] if arguments is None else arguments
    try:
        sys.exit(cli.main(args=given, prog_name="fc-connect", standalone_mode=False) or 0)
    except click.ClickException as exc:
        exc.show()
        sys.exit(exc.exit_code)
    except (click.Abort, KeyboardInterrupt):
        say("Stopped.", err=True)
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()  # whoever read our output has gone: there is nobody to tell
        sys.exit(1)
    except FCConnectError as exc:
        if "--debug" in given:
            say(mask_secrets(traceback.format_exc()), err=True)
        say(f"Error: {exc}", err=True)
        for hint in getattr(exc, "__notes__", ()):
            say(f"Hint: {hint}", err=True)
        sys.exit(2 if isinstance(exc, ConfigurationError) else 1)
