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
from dcn_distributor.conf import coordination
from dcn_distributor.conf import copy_image
from dcn_distributor.conf import copying
from dcn_distributor.conf import metrics
from dcn_distributor.conf import rbd_stream
from dcn_distributor.core import choosing
from dcn_distributor.core import planner
from dcn_distributor.core import retry
from dcn_distributor.core import transfers

PROJECT = 'dcn_distributor'

_GROUPS = (agent, coordination, copying, copy_image, rbd_stream, metrics)


@dataclasses.dataclass(frozen=True, slots=True)
class Settings:
    """What the options say, checked. Times are in seconds.

    `host` is the agent's name among the members of its group.
    `remove_orphans` lets what a crashed glance-api left under an image's
    name be removed where it stands in the way.
    """

    host: str
    group: coordination.Coordination
    sites_file: str
    placement_file: str
    state_dir: str
    topic: str
    notification_topics: tuple[str, ...]
    workers: int
    resync_interval_s: float
    limits: planner.Limits
    choice: choosing.Options
    remove_orphans: bool
    streaming: transfers.Tuning
    metrics: metrics.Address


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register all options of the package but those of its clients."""
    for group in _GROUPS:
        group.register_opts(conf)


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """List all options of the package but those of its clients."""
    return [options for group in _GROUPS for options in group.list_opts()]


def read(
    conf: cfg.ConfigOpts,
    argv: Sequence[str] | None,
    config_files: Sequence[str] | None = None,
    prog: str | None = None,
) -> Settings:
    """Read command line and files into `conf`, which has its options.

    `argv` None takes the program's own arguments. Without `config_files`,
    and with none on the command line, those are read that oslo.config finds
    by itself, /etc/dcn_distributor/dcn_distributor.conf first of all; `prog`
    is the program's name there, by default that of the process.
    Raises ConfigError; a wrong command line, or --help, exits.
    """
    try:
        conf(
            args=argv,
            project=PROJECT,
            prog=prog,
            default_config_files=config_files,
        )
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
    importing = conf[copy_image.GROUP]
    return Settings(
        host=coordination.host(conf),
        group=coordination.coordination(conf),
        sites_file=conf.sites_file,
        placement_file=conf.placement_file,
        state_dir=conf[agent.GROUP].state_dir,
        topic=conf[agent.GROUP].topic,
        notification_topics=tuple(conf[agent.GROUP].notification_topics),
        workers=conf[agent.GROUP].workers,
        resync_interval_s=conf[agent.GROUP].resync_interval,
        limits=planner.Limits(
            imports=importing.imports_per_host * importing.glance_hosts,
            stores_per_import=importing.stores_per_import,
            poll_s=importing.poll_interval,
            stall_s=importing.stall_timeout,
            backoff=retry.Backoff(
                base_s=conf[agent.GROUP].retry_first,
                cap_s=conf[agent.GROUP].retry_max,
            ),
        ),
        choice=copying.options(conf),
        remove_orphans=conf[copying.GROUP].remove_orphans,
        streaming=rbd_stream.tuning(conf),
        metrics=metrics.address(conf),
    )


def reread(conf: cfg.ConfigOpts) -> Settings:
    """Read the files again, and return what holds now.

    For SIGHUP: only options that can change at run time do. Raises
    ConfigError; what held before is for the caller to keep.
    """
    try:
        conf.mutate_config_files()
        return settings(conf)
    except (cfg.Error, ValueError) as exc:
        raise exceptions.ConfigError(str(exc)) from exc
