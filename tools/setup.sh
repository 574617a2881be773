# shellcheck shell=bash
# Sourced by tools/demo, tools/test and tools/lab: installs what is missing.
#
#   setup_packages GROUP...   Debian packages of bindep.txt (needs root or sudo)
#   setup_project             .venv: this project, its tests and its tools
#   setup_servers             .venv-servers: Keystone and Glance for the lab
#
# Each is silent and fast when nothing is missing, so that every run may call
# it. A virtual environment is made anew when the files it was made from
# change; one that was left half-made is never used.

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

setup_fail() {
    echo "set-up: $*" >&2
    exit 1
}

# setup_quietly WHAT COMMAND...: run it, showing its output only if it fails.
setup_quietly() {
    local what=$1 log
    shift
    log=$(mktemp)
    echo "set-up: $what" >&2
    if ! "$@" >"$log" 2>&1; then
        tail -n 40 "$log" >&2
        rm -f "$log"
        setup_fail "$what failed: $*"
    fi
    rm -f "$log"
}

setup_as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    else
        sudo -n "$@" || setup_fail "this needs root, or sudo without a password: $*"
    fi
}

# The package names of bindep.txt: plain lines, and those marked with GROUP.
setup_package_names() {
    local marks=" "
    [ $# -eq 0 ] || marks=" $(printf '[%s] ' "$@")"
    sed -e 's/#.*//' "$top/bindep.txt" |
        awk -v marks="$marks" 'NF == 1 || (NF == 2 && index(marks, " " $2 " ")) { print $1 }'
}

setup_packages() {
    local name missing=()
    command -v dpkg-query >/dev/null ||
        setup_fail "no dpkg here: this set-up is for Debian 12; install the packages of bindep.txt by hand"
    for name in $(setup_package_names "$@"); do
        dpkg-query -W -f '${Status}' "$name" 2>/dev/null |
            grep -q '^install ok installed$' || missing+=("$name")
    done
    [ "${#missing[@]}" -gt 0 ] || return 0
    setup_quietly "refreshing apt's lists" setup_as_root apt-get update -q
    setup_quietly "installing ${missing[*]}" setup_as_root \
        env DEBIAN_FRONTEND=noninteractive \
        apt-get install -q -y --no-install-recommends "${missing[@]}"
}

# setup_venv DIR STAMPFILES -- COMMAND...: make DIR, run COMMAND in it.
setup_venv() {
    local venv=$1 stamp files=()
    shift
    while [ "$1" != -- ]; do
        files+=("$1")
        shift
    done
    shift
    stamp=$(cat "${files[@]}" | sha256sum)
    exec 9>"$venv.lock"
    flock 9
    if [ "$(cat "$venv/.made-from" 2>/dev/null)" != "$stamp" ]; then
        rm -rf "$venv"
        # The distribution's Python: rados and rbd are built for it alone.
        setup_quietly "making $(basename "$venv")" /usr/bin/python3 -m venv "$venv"
        "$@"
        echo "$stamp" >"$venv/.made-from"
    fi
    exec 9>&-
}

# Link rados and rbd, and nothing else, out of the distribution's directory:
# with --system-site-packages its older libraries would shadow ours.
setup_link_ceph_bindings() {
    local venv=$1 site module
    site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    for module in rados rbd; do
        ln -sf /usr/lib/python3/dist-packages/"$module".*.so "$site/"
    done
    "$venv/bin/python" -c 'import rados, rbd' ||
        setup_fail "rados and rbd of the distribution do not load in $venv"
}

setup_fill_project() {
    setup_quietly "installing the project and its tools from PyPI (about a minute)" \
        "$top/.venv/bin/pip" install -q -r "$top/requirements.txt" -r "$top/test-requirements.txt"
    setup_quietly "installing the project itself" \
        env PBR_VERSION="${PBR_VERSION:-0.1.0}" "$top/.venv/bin/pip" install -q --no-deps -e "$top"
    setup_link_ceph_bindings "$top/.venv"
}

setup_project() {
    setup_venv "$top/.venv" "$top/requirements.txt" "$top/test-requirements.txt" \
        "$top/setup.cfg" "$top/tools/setup.sh" -- setup_fill_project
}

setup_fill_servers() {
    setup_quietly "installing Keystone and Glance from PyPI (about two minutes)" \
        "$top/.venv-servers/bin/pip" install -q -r "$top/lab/requirements.txt"
    setup_link_ceph_bindings "$top/.venv-servers"
}

setup_servers() {
    setup_venv "$top/.venv-servers" "$top/lab/requirements.txt" \
        "$top/tools/setup.sh" -- setup_fill_servers
}
