# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# The cases that build/bench/load drives. An entry in choose_case says which protocol of the server
# in C is compared (bench/server.c), with the script of the same name, and what the client does. If
# the server also has PROTOCOL-batch, which collects its answers, that is another reference.
#
# The reference C runs twice, so that the noise shows (A/A). Part of run.sh.
#
# A case may be followed by what the scripts hold beside their connections, as in echo-16k+10k+1000t:
#
#     +10k +300k +1m  a table of so many entries; +written: every message replaces one of them
#     +1000t +10000t  so many idle tasks, or any other number
#
# See heap.lua. The reference in C holds nothing. Where the heap is written, the same script with
# Lua's incremental collector, chosen by itself, is another reference.

plain_cases="echo-1 echo-64 echo-1000 echo-3000 echo-pipelined echo-16k"
plain_cases+=" lines lines-concat chat get-pipelined get-64 kv bulk proxy connect udp"
cases=$plain_cases
cases+=" echo-16k+10k echo-16k+10k+1000t echo-16k+10k+10000t echo-16k+1m echo-16k+1m+written"
cases+=" lines-concat+10k lines-concat+300k+written kv+10k kv+10k+1000t kv+300k+written"

# The cases that other runtimes can run; see start_peers.
peer_cases="echo-1 echo-64 echo-1000 echo-pipelined echo-16k lines lines-concat get-pipelined get-64 kv"
peer_cases+=" udp echo-16k+10k echo-16k+10k+1000t echo-16k+1m lines-concat+10k kv+10k"

# is_case NAME: a plain case and dimensions that exist, for a script that knows of them.
is_case() {
    local plain=${1%%+*}
    [[ " $plain_cases " == *" $plain "* ]] || return 1
    [[ $1 == "$plain" ]] && return 0
    [[ $1 =~ ^$plain(\+(10k|300k|1m))?(\+written)?(\+[0-9]+t)?$ ]] || return 1
    choose_case "$1"
    grep -q 'require "heap"' "$here/$script_name.lua" || fail "$1: bench/$script_name.lua holds no heap"
}

# What the dimensions in a case's name ask of heap.lua.
choose_dimensions() {
    local dimension most=10000000
    heap=0 written=no idle_tasks=0
    if [ "$smoke" = yes ]; then most=300; fi
    for dimension in ${1//+/ }; do
        case $dimension in
        10k) heap=10000 ;;
        300k) heap=300000 ;;
        1m) heap=1000000 ;;
        written) written=yes ;;
        [0-9]*t) idle_tasks=${dimension%t} ;;
        esac
    done
    if [ "$heap" -gt "$most" ]; then heap=$most; fi
    if [ "$idle_tasks" -gt "$most" ]; then idle_tasks=$most; fi
    export BENCH_HEAP=$heap BENCH_WRITTEN=$written BENCH_TASKS=$idle_tasks
}

choose_case() {
    # What a case leaves unsaid. A slice is several times as long as a message takes; see load.c.
    protocol=echo load_case=echo connections=64 size=64 depth=1 slice_ms=10 cycles=400
    backend='' script_name='' client_core=("${on_client_core[@]}")
    case ${1%%+*} in
    echo-1) connections=1 client_core=("${on_same_core[@]}") ;; # the path itself, without idling
    echo-64) ;;
    echo-1000) connections=1000 slice_ms=60 cycles=140 ;;
    echo-3000) connections=3000 slice_ms=150 cycles=70 ;;
    echo-pipelined) depth=16 ;;
    echo-16k) size=16384 ;;
    lines) protocol=lines load_case=lines depth=16 ;;
    lines-concat) protocol=lines load_case=lines depth=16 script_name=lines_concat ;;
    chat) protocol=chat load_case=chat connections=100 size=64 slice_ms=60 cycles=80 ;;
    get-pipelined) protocol=get load_case=get depth=16 ;;
    get-64) protocol=get load_case=get ;;
    kv) protocol=kv load_case=kv depth=16 ;;
    bulk) protocol=sink load_case=sink connections=8 size=65536 depth=4 slice_ms=20 cycles=200 ;;
    proxy)
        protocol=proxy load_case=sink connections=8 size=65536 depth=4 slice_ms=20 cycles=200
        backend=sink
        ;;
    connect) protocol=close load_case=close connections=32 slice_ms=20 cycles=150 ;;
    udp) protocol=udp load_case=udp connections=16 depth=8 ;;
    *) return 1 ;;
    esac
    if [[ $1 == *+* ]]; then cycles=200; fi
    if [[ $1 == *+written* ]]; then cycles=500; fi # more than one whole collection of the heap
    script_name=${script_name:-$protocol}
    choose_dimensions "${1#*+}"
    if [ "$peers" = yes ]; then cycles=$((cycles / 3)); fi
    if [ "$smoke" = yes ]; then
        cycles=3 slice_ms=10
        if [ "$connections" -gt 50 ]; then connections=50; fi
    fi
}

# start_all: the servers of the chosen case, each with the backend's port behind its own if needed.
start_all() {
    local arguments=(0)
    if [ -n "$backend" ]; then
        core=("${on_client_core[@]}")
        start backend "$server" "$backend" 0
        arguments=(0 "$port")
        targets=()
    fi
    core=("${on_server_core[@]}")
    start C "$server" "$protocol" "${arguments[@]}"
    start C "$server" "$protocol" "${arguments[@]}" # again, to see the noise
    start lariat "$lariat" "$here/$script_name.lua" "${arguments[@]}"
    if [ "$written" = yes ] && [ "$peers" = no ]; then
        start incremental env BENCH_COLLECTOR=incremental "$lariat" "$here/$script_name.lua" 0
    fi
    if "$server" 2>&1 | grep -q "^  $protocol-batch "; then
        start C-batch "$server" "$protocol-batch" "${arguments[@]}"
    fi
    if [ "$peers" = yes ]; then
        start_peers
    elif [ "$protocol" = echo ]; then
        start epoll "$server" epoll 0
    fi
}

# start_peer NAME FILE COMMAND...: if the command can do what a peer needs.
start_peer() {
    local label=$1 file=$2
    shift 2
    if [ -n "${lacking[$label]:-}" ]; then return; fi
    if [ "$label $protocol" = "cqueues udp" ]; then return; fi # it has no datagrams to answer
    start "$label" "$@" "$here/peers/$file" "$script_name" 0
}

start_peers() {
    start_peer luv luv.lua lua5.4
    start_peer cqueues cqueues.lua lua5.4
    start_peer copas copas.lua lua5.1
    start_peer node node.js node
}

# find_peers: says once what is not installed.
declare -A lacking
find_peers() {
    local module lua
    if [ "${found_peers:-no}" = yes ]; then return; fi
    found_peers=yes
    for module in luv cqueues copas; do
        if [ "$module" = copas ]; then lua=lua5.1; else lua=lua5.4; fi
        "$lua" -e "require '$module'" 2>/dev/null && continue
        lacking[$module]=yes
        skip "peer $module: $lua has no such module (make deps-peers)"
    done
    if ! command -v node >/dev/null; then
        lacking[node]=yes
        skip "peer node: not installed (make deps-peers)"
    fi
}

run_case() {
    local servers=5 label=$1 code
    choose_case "$1"
    if [ "$peers" = yes ]; then
        find_peers
        servers=8 label=peers/$1
    fi
    if ! enough_descriptors $((connections * servers + 64)); then
        skip "$1: it needs $((connections * servers + 64)) open files, the limit is $(ulimit -Hn)"
        return
    fi
    start_all
    echo "-- $1"
    in_background "${first[@]}" "${client_core[@]}" "$load" --case "$load_case" \
        --connections "$connections" --size "$size" --depth "$depth" --slice-ms "$slice_ms" \
        --cycles "$cycles" --results "$results" --label "$label" "${targets[@]}"
    code=$?
    end_servers
    choose_dimensions '' # what is measured next has none
    if [ "$smoke" = yes ] && [ "$code" -eq 3 ]; then code=0; fi
    if [ "$code" -eq 3 ] && [ "$priority" = no ]; then
        echo "bench: if other programs are busy on this machine, --priority runs ahead of them"
    fi
    if [ "$code" -eq 0 ]; then measured=$((measured + 1)); fi
    if [ "$code" -ne 0 ] && [ "$status" -ne 1 ]; then status=$code; fi
}
