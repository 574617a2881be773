#!/usr/bin/env bash
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
# stack.sh, unstack.sh and clean.sh, as far as a plugin can tell:
#
#   run.bash stack|unstack|clean
#
# Phases, and what has happened before each, are those of devstack's
# doc/source/plugins.rst and of the three scripts.

# shellcheck source=tests/unit/devstack/devstack.bash
source "$STAND_IN/devstack.bash"

export DATA_DIR=$WORLD/data
export DCN_DISTRIBUTOR_CONF_DIR=$WORLD/etc/dcn_distributor
export GLANCE_API_CONF=$GLANCE_CONF_DIR/glance-api.conf
export GLANCE_MULTISTORE_FILE_IMAGE_DIR=$DATA_DIR/glance
export SERVICE_DOMAIN_NAME=Default SERVICE_PROJECT_NAME=service
export KEYSTONE_SERVICE_URI=http://127.0.0.1/identity REGION_NAME=RegionOne
export LOG_COLOR=False ENABLE_DEBUG_LOG_LEVEL=True
STACK_USER=$(id -un)
export STACK_USER
ENABLED_SERVICES=key,g-api,rabbit

function plugin {
    # shellcheck source=devstack/plugin.sh
    source "$PLUGIN/plugin.sh" "$@"
}

function override_defaults {
    # shellcheck source=devstack/override-defaults
    source "$PLUGIN/override-defaults"
}

function load_plugin_settings {
    # devstack-plugin-ceph, which is enabled before
    if [[ -d $WORLD/etc/ceph ]]; then
        CEPH_CONF_FILE=$WORLD/etc/ceph/ceph.conf
    fi
    # shellcheck source=devstack/settings
    source "$PLUGIN/settings"
}

# lib/glance; GLANCE_TOPICS is what another plugin or local.conf may add.
function configure_glance {
    install -d "$GLANCE_CONF_DIR"
    iniset "$GLANCE_API_CONF" oslo_messaging_notifications driver messagingv2
    iniset "$GLANCE_API_CONF" DEFAULT show_multiple_locations False
    if [[ $GLANCE_ENABLE_MULTIPLE_STORES == True ]]; then
        iniset "$GLANCE_API_CONF" DEFAULT enabled_backends fast:file
        iniset "$GLANCE_API_CONF" glance_store default_backend fast
        iniset "$GLANCE_API_CONF" os_glance_staging_store \
            filesystem_store_datadir "$DATA_DIR/glance/os_glance_staging_store/"
        iniset "$GLANCE_API_CONF" os_glance_tasks_store \
            filesystem_store_datadir "$DATA_DIR/glance/os_glance_tasks_store/"
    fi
    if [[ -n $GLANCE_TOPICS ]]; then
        iniset "$GLANCE_API_CONF" oslo_messaging_notifications \
            topics "$GLANCE_TOPICS"
        iniset "$GLANCE_API_CONF" DEFAULT enabled_import_methods '[web-download]'
    fi
}

# config_glance in devstack/lib/cephadm of devstack-plugin-ceph
function configure_ceph {
    iniset "$GLANCE_API_CONF" DEFAULT enabled_backends robust_rbd:rbd,fast:file
    iniset "$GLANCE_API_CONF" glance_store default_backend robust_rbd
    iniset "$GLANCE_API_CONF" robust_rbd rbd_store_ceph_conf "$CEPH_CONF_FILE"
    iniset "$GLANCE_API_CONF" robust_rbd rbd_store_user glance
    iniset "$GLANCE_API_CONF" robust_rbd rbd_store_pool images
}

function stack {
    # Keystone's database is made anew each time, the cluster is not.
    override_defaults
    load_plugin_settings
    set -o errexit
    plugin stack pre-install
    plugin stack install
    configure_glance
    [[ -z $CEPH_CONF_FILE ]] || configure_ceph
    plugin stack post-config
    plugin stack extra
    plugin stack test-config
}

function unstack {
    override_defaults
    load_plugin_settings
    # Before ours, cleanup_ceph of devstack-plugin-ceph.
    [[ $CEPH_IS_REMOVED != yes ]] || rm -rf "$WORLD/cluster" "$WORLD"/etc/ceph/*
    plugin unstack
}

function clean {
    bash "${BASH_SOURCE[0]}" unstack
    load_plugin_settings
    plugin clean
}

set -o xtrace
"$1"
