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
"""Options of the agent, and where its YAML files are."""

from oslo_config import cfg

GROUP = 'agent'

FILE_OPTS = [
    cfg.StrOpt(
        'sites_file',
        default='/etc/dcn_distributor/sites.yaml',
        help='The file that names central, the sites, their stores and '
        'labels. Read at start and on SIGHUP; a broken file is refused and '
        'the agent keeps the sites it has.',
    ),
    cfg.StrOpt(
        'placement_file',
        default='/etc/dcn_distributor/placement.yaml',
        help='The file with the placement policies: which images should be '
        'at which sites. Read at start and on SIGHUP; a broken file is '
        'refused and the agent keeps the policies it has.',
    ),
]

AGENT_OPTS = [
    cfg.StrOpt(
        'state_dir',
        default='/var/lib/dcn_distributor',
        help='The directory where the agent keeps what operators have '
        'paused and held, over restarts. It has to be its own: several '
        'agents on one host need one each. The systemd unit provides the '
        'default.',
    ),
    cfg.StrOpt(
        'topic',
        default='dcn_distributor',
        help="The agent's own topic for Glance's notifications. Glance has "
        'to send there too: topics = notifications,dcn_distributor in '
        '[oslo_messaging_notifications] of glance-api.conf.',
    ),
    cfg.ListOpt(
        'notification_topics',
        default=[],
        help='Topics to which the agent tells what becomes of copies: the '
        'events image.distribution.copy.start, .end and .error. Empty for '
        'none. Name one only if something reads it, such as notifications '
        'where ceilometer runs: messages that nobody takes stay in their '
        'queue, and fill the broker.',
    ),
    cfg.IntOpt(
        'workers',
        default=8,
        min=1,
        max=64,
        help='How many images are looked at at once. Each look is one or '
        'two requests to Glance; raise it if bursts of events take long to '
        'work off and Glance has power to spare.',
    ),
    cfg.FloatOpt(
        'resync_interval',
        default=600.0,
        min=1.0,
        help='Seconds between two looks at all images, which find what '
        'notifications have missed. Each reads the list of images once, '
        'in pages.',
    ),
    cfg.FloatOpt(
        'retry_first',
        default=5.0,
        min=0.1,
        help='Seconds to wait after a first failure. Each further failure '
        'in a row doubles the wait, less a random part of up to a quarter.',
    ),
    cfg.FloatOpt(
        'retry_max',
        default=600.0,
        min=1.0,
        help='The longest wait between two tries, in seconds. There is no '
        'last try: an outage may last for days.',
    ),
]


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register the options of this module."""
    conf.register_opts(FILE_OPTS)
    conf.register_opts(AGENT_OPTS, group=GROUP)


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """List the options of this module, for oslo-config-generator."""
    return [('DEFAULT', FILE_OPTS), (GROUP, AGENT_OPTS)]
