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
"""What `openstack` asks of a plugin, and the options it adds to all commands.

Every start of ``openstack`` imports this module, whatever its command is.
"""

import argparse
import os

API_NAME = 'image_distribution'
API_VERSION_OPTION = 'os_image_distribution_api_version'
API_VERSIONS = ('1',)
DEFAULT_API_VERSION = '1'

CONFIG_OPTION = '--dcn-config-file'
CONFIG_VARIABLE = 'DCN_DISTRIBUTOR_CONFIG'


def build_option_parser(
    parser: argparse.ArgumentParser,
) -> argparse.ArgumentParser:
    """Add the options of the plugin to those that every command has."""
    parser.add_argument(
        '--os-image-distribution-api-version',
        metavar='<image-distribution-api-version>',
        default=os.environ.get('OS_IMAGE_DISTRIBUTION_API_VERSION', ''),
        help='Version of the commands of dcn_distributor, '
        f'default={DEFAULT_API_VERSION} '
        '(Env: OS_IMAGE_DISTRIBUTION_API_VERSION)',
    )
    parser.add_argument(
        CONFIG_OPTION,
        action='append',
        metavar='<file>',
        help='Configuration of dcn_distributor, which names sites.yaml, '
        'placement.yaml and the message bus; may be repeated, later ones '
        'win. Default: /etc/dcn_distributor/dcn_distributor.conf, if it '
        f'exists (Env: {CONFIG_VARIABLE}, several with {os.pathsep!r} '
        'between them)',
    )
    return parser
