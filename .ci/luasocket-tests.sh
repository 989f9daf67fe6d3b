#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Runs LuaSocket's own tests, from the distribution's source package, with lariat:
#
#   .ci/luasocket-tests.sh ./lariat build/luasocket
#
# The source package is fetched once, by apt-get, which needs a deb-src line. Nothing of it is part of
# this repository. Not run: what needs servers elsewhere (http, ftp, smtp, tftp, dict), what waits for
# a person (unixstream*, unixdgram*, udpconnect*), and utestclnt and tcp-getoptions, which do not pass
# with LuaSocket on Lua 5.4 either.
#
# Two things are arranged for testclnt. The network is one of its own where the machine allows that,
# because the test expects that 10.0.0.1 cannot be reached. And at most 1,000 descriptors may be open,
# because it expects that select refuses 1,025 sockets, and lariat's takes any number: with too few
# descriptors the test says so and goes on.
set -eu

lariat=$(realpath "${1:?usage: luasocket-tests.sh PROGRAM FOLDER}")
folder=${2:?usage: luasocket-tests.sh PROGRAM FOLDER}
debug=$(dirname "$(realpath "$0")")/luasocket-debug.lua

fetch() {
    mkdir -p "$folder"
    (cd "$folder" && apt-get source -qq --download-only --tar-only lua-socket) || {
        echo "luasocket-tests: could not fetch LuaSocket's source package. It needs a deb-src line," >&2
        echo "  such as: deb-src http://deb.debian.org/debian bookworm main" >&2
        echo "  in /etc/apt/sources.list, and then apt-get update" >&2
        exit 1
    }
    tar -xzf "$folder"/luasocket_*.orig.tar.gz -C "$folder"
}

ls -d "$folder"/luasocket-*/test >/dev/null 2>&1 || fetch
cd "$folder"/luasocket-*/test

run() { # name: what the test prints is shown if it fails
    if timeout 120 "$lariat" "$@" >../log 2>&1 </dev/null && ! grep -qiE '^(ERROR|fail)' ../log; then
        echo "passed $1"
    else
        cat ../log
        echo "FAILED $1"
        failed=$((failed + 1))
    fi
}

failed=0
for test in excepttest.lua stufftest.lua hello.lua urltest.lua ltn12test.lua mimetest.lua \
    test_bind.lua test_getaddrinfo.lua test_socket_error.lua udp-zero-length-send \
    udp-zero-length-send-recv; do
    run "$test"
done

cat >../pair.sh <<'END'
ip link set lo up 2>/dev/null || :
ulimit -n 1000
"$1" -e "dofile '$2'" testsrvr.lua >../server.log 2>&1 &
until grep -q waiting ../server.log; do kill -0 $! && sleep 0.1; done
"$1" -e "dofile '$2'" testclnt.lua && wait $!
END
isolated=
! unshare -rn true 2>/dev/null || isolated="unshare -rn"
echo "testsrvr.lua and testclnt.lua: this takes a minute"
# shellcheck disable=SC2086
if timeout 300 $isolated sh -e ../pair.sh "$lariat" "$debug" >../log 2>&1 &&
    ! grep -q '^ERROR' ../log; then
    echo "passed testclnt.lua"
else
    tail -n 30 ../log
    echo "FAILED testclnt.lua"
    failed=$((failed + 1))
fi

[ "$failed" -eq 0 ] && echo "luasocket-tests: all passed"
