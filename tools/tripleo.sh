# shellcheck shell=bash
# Sourced by tools/test, after tools/setup.sh: fetches what reads the files
# that are rendered for TripleO, so that they can be tried on it.
#
#   setup_tripleo TOP         TOP/.tripleo: source archives from PyPI, unpacked

# The newest of each, and the oldest that has what the documents use.
tripleo_archives=(
    tripleo-heat-templates==12.4.6 tripleo-heat-templates==18.0.0
    tripleo-ansible==6.0.0
    python-tripleoclient==13.4.6 python-tripleoclient==20.0.0
)

setup_tripleo() {
    local made=$1/.tripleo
    if [ "$(cat "$made/.made-from" 2>/dev/null)" != "${tripleo_archives[*]}" ] &&
        ! (tripleo_fetch "$made" "$1/.venv/bin/pip"); then
        echo "set-up: what needs TripleO's archives is not tested" >&2
        return 0
    fi
    export DCN_TRIPLEO_TEMPLATES="$made"
}

# tripleo_fetch DIR PIP: fetch all into DIR, or fail and leave it as it was.
tripleo_fetch() {
    local made=$1 pip=$2 fetched archive
    fetched=$(mktemp -d)
    # shellcheck disable=SC2064
    trap "rm -rf '$fetched'" EXIT
    mkdir "$fetched/unpacked"
    # Their setup.py files are of another time than setuptools, and the
    # version that this project is given is not theirs.
    echo 'setuptools<61' >"$fetched/constraints"
    for archive in "${tripleo_archives[@]}"; do
        setup_quietly "fetching $archive" env -u PBR_VERSION \
            PIP_CONSTRAINT="$fetched/constraints" \
            "$pip" download --use-pep517 --no-deps \
            --no-binary "${archive%%=*}" -d "$fetched" "$archive"
    done
    for archive in "$fetched"/*.tar.gz; do
        tar -xzf "$archive" -C "$fetched/unpacked" || exit 1
    done
    echo "${tripleo_archives[*]}" >"$fetched/unpacked/.made-from"
    rm -rf "$made"
    mv "$fetched/unpacked" "$made" || exit 1
}
