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
"""Options of the engine copy-image."""

from oslo_config import cfg

GROUP = 'copy_image'

OPTS = [
    cfg.IntOpt(
        'imports_per_host',
        default=4,
        min=1,
        help='How many imports may be under way at once on one Glance API '
        'host. Each takes a thread there and as much space for staging as '
        "its image's size; with more images than that to copy, the others "
        'wait their turn, by the priority of their policies.',
    ),
    cfg.IntOpt(
        'glance_hosts',
        default=1,
        min=1,
        help='How many Glance API hosts share the work behind the endpoint; '
        'multiplies imports_per_host.',
    ),
    cfg.IntOpt(
        'stores_per_import',
        default=8,
        min=1,
        help='How many stores one import may go to. Glance stages the image '
        'once for each import, and writes its stores one after another; '
        'until it ends, the image can be copied nowhere else, by nobody. '
        'Raise it if staging is slow and sites are near, lower it if other '
        'sites should not wait long.',
    ),
    cfg.FloatOpt(
        'poll_interval',
        default=10.0,
        min=0.2,
        help='The longest pause between two looks at a running import, in '
        'seconds. It begins with 1 and grows with the age of the import.',
    ),
    cfg.FloatOpt(
        'stall_timeout',
        default=900.0,
        min=10.0,
        help='An import without a sign of life for so many seconds, and the '
        'time it takes to stage its image at 25 MiB/s, is taken for stuck: '
        'its slot is given to another, and its store is tried by one image '
        'at a time until a copy arrives. Glance gives a sign once a minute '
        'while it writes.',
    ),
]


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register the options of this module."""
    conf.register_opts(OPTS, group=GROUP)


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """List the options of this module, for oslo-config-generator."""
    return [(GROUP, OPTS)]
