# shellcheck shell=bash
#
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
#
# The phases of devstack (doc/source/plugins.rst there says when each is run).

_XTRACE_DCN_DISTRIBUTOR=$(set +o | grep xtrace)
set +o xtrace
for _dcn_library in undo ceph stores agent; do
    # shellcheck source=/dev/null
    source "$DCN_DISTRIBUTOR_DIR/devstack/lib/$_dcn_library"
done
unset _dcn_library
$_XTRACE_DCN_DISTRIBUTOR

if is_service_enabled dcn-distributor-agent; then
    case "$1 ${2:-}" in
        'stack pre-install')
            echo_summary "Installing what dcn_distributor needs"
            install_bindep "$DCN_DISTRIBUTOR_DIR/bindep.txt"
            ;;
        'stack install')
            echo_summary "Installing dcn_distributor"
            setup_develop "$DCN_DISTRIBUTOR_DIR"
            ;;
        'stack post-config')
            echo_summary "Making stores for the sites of dcn_distributor"
            dcn_make_directories
            dcn_make_stores
            echo_summary "Configuring dcn_distributor"
            dcn_create_accounts
            dcn_configure_agent
            ;;
        'stack extra')
            echo_summary "Starting dcn_distributor"
            dcn_start_agent
            ;;
        'stack test-config')
            dcn_show_placements
            ;;
        'unstack '*)
            dcn_stop_agent
            dcn_delete_accounts
            dcn_forget_policies
            dcn_undo
            ;;
        'clean '*)
            dcn_remove_directories
            ;;
    esac
fi
