#!/bin/sh
# Makes a virtual environment; on a bare Debian it first gets what Python there lacks.
# Usage: venv.sh PYTHON FOLDER
set -eu
python=$1 folder=$2
[ -x "$folder/bin/pip" ] && exit 0
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
        apt-get update -q && apt-get install -qy --no-install-recommends "python$version-venv" || apt-get install -qy --no-install-recommends python3-venv
    else
        echo "gpuyard: $python cannot make virtual environments; run: sudo apt install python3-venv" >&2
        exit 2
    fi
fi
"$python" -c 'import sys; ok = (3, 11) <= sys.version_info[:2] <= (3, 13); sys.exit(0 if ok else 2)' || {
    echo "gpuyard: needs Python 3.11 to 3.13; say which: make PYTHON=python3.11" >&2
    exit 2
}
"$python" -m venv --clear "$folder"
