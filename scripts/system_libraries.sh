#!/bin/sh
# The libraries that Python's packages cannot bring along: OpenGL without a screen, and venv on Debian.
# Installed when we are root on Debian or Ubuntu; otherwise named.
set -eu
python=${PYTHON:-python3}

if ! "$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' 2>/dev/null; then
    echo "understudy needs Python 3.11 to 3.14; '$python' is $("$python" --version 2>&1). Set PYTHON=python3.11." >&2
    exit 1
fi
[ "$(uname -s)" = Linux ] || exit 0

has_library() { "$python" -c "import ctypes; ctypes.CDLL('$1')" 2>/dev/null; }

missing=""
"$python" -c 'import ensurepip, venv' 2>/dev/null || missing="$missing python3-venv"
has_library libEGL.so.1 || missing="$missing libegl1"
find /usr/lib /usr/lib64 /usr/local/lib -name 'swrast_dri.so' -o -name 'libgallium*.so' 2>/dev/null | grep -q . ||
    missing="$missing libgl1-mesa-dri libegl-mesa0"
[ -n "$missing" ] || exit 0

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "installing$missing"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    # shellcheck disable=SC2086
    apt-get install -y -qq --no-install-recommends $missing >/dev/null
else
    echo "understudy needs these system packages (Debian's names):$missing" >&2
    echo "install them, for example: sudo apt-get install$missing" >&2
    exit 1
fi
