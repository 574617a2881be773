# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.
"""Configuration: options of oslo.config, and the two YAML files.

There is no global configuration: whoever starts a program reads its files
here and hands out what was read.
"""

from collections.abc import Sequence
import dataclasses

from oslo_config import cfg

from dcn_distributor import exceptions
from dcn_distributor.conf import agent
from dcn_distributor.conf import copy_image
from dcn_distributor.core import choosing
from dcn_distributor.core import planner
from dcn_distributor.core import retry
from dcn_distributor.core import transfers

PROJECT = 'dcn_distributor'


@dataclasses.dataclass(frozen=True, slots=True)
class Settings:
    """What the options say, checked. Times are in seconds.

    `remove_orphans` lets what a crashed glance-api left under an image's
    name be removed where it stands in the way.
    """

    sites_file: str
    placement_file: str
    topic: str
    workers: int
    resync_interval_s: float
    limits: planner.Limits
    choice: choosing.Options
    remove_orphans: bool
    streaming: transfers.Tuning


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register all options of the package but those of its clients."""
    agent.register_opts(conf)
    copy_image.register_opts(conf)


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """List all options of the package but those of its clients."""
    return [*agent.list_opts(), *copy_image.list_opts()]


def read(
    conf: cfg.ConfigOpts,
    argv: Sequence[str] | None,
    config_files: Sequence[str] | None = None,
) -> Settings:
    """Read command line and files into `conf`, which has its options.

    `argv` None takes the program's own arguments. Without `config_files`,
    and with none on the command line, those are read that oslo.config finds
    by itself, /etc/dcn_distributor/dcn_distributor.conf first of all.
    Raises ConfigError; a wrong command line, or --help, exits.
    """
    try:
        conf(args=argv, project=PROJECT, default_config_files=config_files)
        return settings(conf)
    except cfg.ConfigFilesNotFoundError as exc:
        raise exceptions.ConfigError(
            *(f'{name}: no such file' for name in exc.config_files)
        ) from exc
    except (cfg.Error, ValueError) as exc:
        raise exceptions.ConfigError(str(exc)) from exc


def settings(conf: cfg.ConfigOpts) -> Settings:
    """Take the settings out of a configuration that was read.

    Raises what oslo.config raises of a value that is no good.
    """
    copying = conf[copy_image.GROUP]
    return Settings(
        sites_file=conf.sites_file,
        placement_file=conf.placement_file,
        topic=conf[agent.GROUP].topic,
        workers=conf[agent.GROUP].workers,
        resync_interval_s=conf[agent.GROUP].resync_interval,
        limits=planner.Limits(
            imports=copying.imports_per_host * copying.glance_hosts,
            stores_per_import=copying.stores_per_import,
            poll_s=copying.poll_interval,
            stall_s=copying.stall_timeout,
            backoff=retry.Backoff(
                base_s=conf[agent.GROUP].retry_first,
                cap_s=conf[agent.GROUP].retry_max,
            ),
        ),
        choice=choosing.Options(),
        remove_orphans=False,
        streaming=transfers.Tuning(),
    )
