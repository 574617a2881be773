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
# The functions of devstack that the plugin calls, doing what their
# descriptions promise (openstack/devstack, commit 493835a, in the file that is
# named above each). What they do to the world is files in $WORLD.

# -- inc/ini-config ------------------------------------------------------------
# A file is lines to them: options stay where they are, a new one comes first
# in its section, and a new section at the end, after an empty line. They do
# not trace what they do, but the call itself, with the value, is traced.

# Of a file, a section and an option, give the lines, and the numbers of the
# section's head and of the option, or -1.
function _ini_read {
    local number line inside=no
    lines=() head=-1 at=-1
    [[ ! -f $1 ]] || mapfile -t lines <"$1"
    for number in "${!lines[@]}"; do
        line=${lines[number]}
        if [[ $line == \[* ]]; then
            inside=no
            [[ $line != "[$2]" ]] || inside=yes head=$number
        elif [[ $inside == yes && $line =~ ^"$3"[[:blank:]]*= ]]; then
            at=$number
            return
        fi
    done
}

function _ini {
    local what=$1 lines head at value
    shift
    [[ $1 != -sudo ]] || shift
    _ini_read "$@"
    case $what in
        has)
            ((at >= 0))
            ;;
        get)
            ((at < 0)) || read -r value <<<"${lines[at]#*=}"
            echo "${value:-}"
            ;;
        delete)
            ((at < 0)) || sed -i "$((at + 1))d" "$1"
            ;;
        set)
            if ((at >= 0)); then
                lines[at]="$3 = $4"
            elif ((head >= 0)); then
                lines[head]+=$'\n'"$3 = $4"
            else
                lines+=("" "[$2]" "$3 = $4")
            fi
            printf '%s\n' "${lines[@]}" >"$1"
            ;;
    esac
}

function _quietly {
    local xtrace code=0
    xtrace=$(set +o | grep xtrace)
    set +o xtrace
    "$@" || code=$?
    $xtrace
    return "$code"
}

function iniset { _quietly _ini set "$@"; }
function iniget { _quietly _ini get "$@"; }
function inidelete { _quietly _ini delete "$@"; }
function ini_has_option { _quietly _ini has "$@"; }

# -- functions-common ----------------------------------------------------------

function die {
    local line=$1
    shift
    echo "[ERROR] ${BASH_SOURCE[1]}:$line $*" >&2
    exit 1
}

function define_plugin {
    :
}

# Of what DISABLED_SERVICES names it only warns.
function enable_service {
    [[ ,$DISABLED_SERVICES, == *,"$1",* ]] || ENABLED_SERVICES+=",$1"
}

function is_service_enabled {
    [[ ,$ENABLED_SERVICES, == *,"$1",* ]]
}

# The password stands in the call, which is traced if anybody traces.
function get_or_create_user {
    local id
    id=$(
        openstack --os-cloud devstack-system-admin user create "$1" \
            --password "$2" --domain="$3" --or-show -f value -c id
    )
    echo "$id"
}

function get_or_create_role {
    openstack --os-cloud devstack-system-admin role create "$1" \
        --or-show -f value -c id
}

function get_or_add_user_project_role {
    openstack --os-cloud devstack-system-admin role add "$1" --user "$2" \
        --project "$3" --user-domain "$4" --project-domain "$5"
}

# Does nothing for a service that is not enabled, or runs already.
function run_process {
    is_service_enabled "$1" || return 0
    [[ $2 == /* ]] || die "$LINENO" "not an absolute path: $2"
    [[ -f $WORLD/units/$1 ]] || echo "started $1" >>"$WORLD/events"
    echo "$2" >"$WORLD/units/$1"
}

function stop_process {
    is_service_enabled "$1" || return 0
    rm -f "$WORLD/units/$1"
    echo "stopped $1" >>"$WORLD/events"
}

function install_bindep {
    [[ -f $1 ]]
    echo "installed packages" >>"$WORLD/events"
}

# -- inc/python, functions, lib/rpc_backend ------------------------------------

function get_python_exec_prefix {
    echo "$STAND_IN/bin"
}

function setup_develop {
    [[ -f $1/setup.cfg ]]
    echo "installed project" >>"$WORLD/events"
}

function echo_summary {
    echo "$*"
}

function setup_logging {
    iniset "$1" DEFAULT log_color "$LOG_COLOR"
}

function get_transport_url {
    echo "rabbit://stackrabbit:$RABBIT_PASSWORD@127.0.0.1:5672/$1"
}
