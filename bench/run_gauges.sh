# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# What the load generator cannot measure. A gauge adds lines "gauge NAME VALUE REFERENCE UNIT" to
# the results, separated by tabs; REFERENCE is what the same costs without lariat, 0 if there is no
# such thing. Programs that are compared run in turn, several times, and medians are taken. Part of
# run.sh.

gauges="idle-memory startup tasks pauses timeouts redis generators simulation"

run_gauge() {
    echo "-- $1"
    "gauge_${1//-/_}"
    end_servers
}

# gauge NAME VALUE REFERENCE UNIT
gauge() {
    printf 'gauge\t%s\t%s\t%s\t%s\n' "$@" >>"$results"
    echo "$1: $2 $4$([ "$3" = 0 ] || echo ", to $3 of the reference")"
    measured=$((measured + 1))
}

# sized FULL SMOKE: the size to run with.
sized() {
    if [ "$smoke" = yes ]; then echo "$2"; else echo "$1"; fi
}

median() {
    printf '%s\n' "$@" | sort -g | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}

# unmeasured NAME: something that should have run did not.
unmeasured() {
    echo "bench: $1 could not be measured" >&2
    status=1
}

gauge_idle_memory() {
    local connections lariat_bytes c_bytes
    connections=$(sized 10000 200)
    if ! enough_descriptors $((connections + 64)); then
        skip "idle-memory: it needs $((connections + 64)) open files, the limit is $(ulimit -Hn)"
        return
    fi
    core=("${on_server_core[@]}")
    start C "$server" echo 0
    read -r _ c_bytes < <("$build/bench/idle" "$connections" "$port" "$pid")
    start lariat "$lariat" "$here/echo.lua" 0
    read -r _ lariat_bytes < <("$build/bench/idle" "$connections" "$port" "$pid")
    if [ -z "$lariat_bytes" ] || [ -z "$c_bytes" ]; then unmeasured idle-memory && return; fi
    gauge idle-memory "$lariat_bytes" "$c_bytes" "B a connection"
}

gauge_startup() {
    local ours theirs
    read -r ours theirs < <("${first[@]}" "${on_server_core[@]}" "$build/bench/startup" \
        "$(sized 300 5)" "$lariat" "$here/empty.lua" -- "$build/bench/empty")
    if [ -z "${theirs:-}" ]; then unmeasured startup && return; fi
    gauge startup "$ours" "$theirs" "us"
}

gauge_tasks() {
    local bytes pause all_bytes=() pauses=()
    for _ in 1 2 3; do
        read -r bytes pause < <("${first[@]}" "${on_server_core[@]}" "$lariat" "$here/tasks.lua" \
            "$(sized 100000 1000)" "$(sized 4 0.1)")
        if [ -z "${pause:-}" ]; then unmeasured tasks && return; fi
        all_bytes+=("$bytes") pauses+=("$pause")
    done
    gauge task-memory "$(median "${all_bytes[@]}")" 0 "B a task"
    gauge task-pause "$(median "${pauses[@]}")" 0 "ms"
}

# The collector's longest stops, with a heap and with tasks: see pause.lua.
pause_of() {
    local entries=$1 written=$2 tasks=$3
    "${first[@]}" "${on_server_core[@]}" env BENCH_HEAP="$(sized "$entries" 300)" \
        BENCH_WRITTEN="$written" BENCH_TASKS="$(sized "$tasks" 100)" \
        "$lariat" "$here/pause.lua" "$(sized 6 0.1)"
}

gauge_pauses() {
    local worst_tasks worst_read worst_written first_read peak_read peak_written
    read -r worst_tasks _ _ < <(pause_of 10000 no 10000)
    read -r worst_read first_read peak_read < <(pause_of 1000000 no 0)
    read -r worst_written _ peak_written < <(pause_of 1000000 yes 0)
    if [ -z "${worst_tasks:-}" ] || [ -z "${peak_read:-}" ] || [ -z "${peak_written:-}" ]; then
        unmeasured pauses && return
    fi
    gauge pause-tasks "$worst_tasks" 0 "ms"
    gauge pause-read "$worst_read" 0 "ms"
    gauge pause-written "$worst_written" 0 "ms"
    gauge pause-first "$first_read" 0 "ms"
    gauge peak-read "$peak_read" 0 "MiB"
    gauge peak-written "$peak_written" 0 "MiB"
}

# instructions COMMAND...: how many it executes in user mode.
instructions() {
    valgrind --tool=callgrind --callgrind-out-file=/dev/null "$@" 2>&1 >/dev/null |
        sed -n 's/.*Collected : *\([0-9]*\).*/\1/p'
}

# Two runs of different length, so that what is not a message's falls out.
instructions_per_message() {
    local few=1000 many short long
    many=$(sized 11000 2000)
    short=$(instructions "$lariat" "$here/timeouts.lua" "$few" "$1")
    long=$(instructions "$lariat" "$here/timeouts.lua" "$many" "$1")
    if [ -z "$short" ] || [ -z "$long" ]; then return; fi
    echo $(((long - short) / (many - few)))
}

gauge_timeouts() {
    local none once each
    if ! command -v valgrind >/dev/null; then
        skip "timeouts: valgrind, which counts instructions, is not installed (make deps)"
        return
    fi
    if grep -q __asan_init "$lariat"; then
        skip "timeouts: $lariat has sanitizers in it, whose instructions are not its own"
        return
    fi
    none=$(instructions_per_message none)
    once=$(instructions_per_message once)
    if [ "$smoke" = no ]; then each=$(instructions_per_message each); else each=$once; fi
    if [ -z "$none" ] || [ -z "$once" ] || [ -z "$each" ]; then unmeasured timeouts && return; fi
    gauge timeouts $((once - none)) 0 "instructions a receive"
    gauge settimeout $((each - none)) 0 "instructions, with settimeout called before each"
}

# redis_rates PORT: requests a second of SET and of GET.
redis_rates() {
    "${first[@]}" "${on_client_core[@]}" timeout 60 \
        redis-benchmark -h 127.0.0.1 -p "$1" -P 16 -t set,get -n "$(sized 300000 2000)" --csv 2>/dev/null |
        awk -F '"' '$2 == "SET" { set = $4 } $2 == "GET" { get = $4 } END { printf "%d %d\n", set, get }'
}

gauge_redis() {
    local program redis_port lariat_port round turn turns set get
    local their_sets=() their_gets=() our_sets=() our_gets=()
    for program in redis-server redis-benchmark; do
        command -v $program >/dev/null && continue
        skip "redis: $program is not installed (make deps)"
        return
    done
    core=("${on_server_core[@]}")
    start lariat "$lariat" "$root/examples/redis_server.lua" 127.0.0.1 0
    lariat_port=$port
    start lender "$server" close 0 # redis-server cannot be asked to choose a port: take a free one
    redis_port=$port
    kill -KILL "$pid" && wait "$pid" 2>/dev/null
    "${first[@]}" "${core[@]}" redis-server --port "$redis_port" --save '' --daemonize no \
        --bind 127.0.0.1 --dir "$scratch" >/dev/null 2>&1 &
    processes+=("$!")
    for _ in {1..50}; do
        (exec 3<>"/dev/tcp/127.0.0.1/$redis_port") 2>/dev/null && break
        sleep 0.1
    done
    # A round before the first, to warm up, is not counted; who goes first changes with every round.
    for round in $(seq 0 "$(sized 11 1)"); do
        turns=("$redis_port" "$lariat_port")
        if [ $((round % 2)) = 1 ]; then turns=("$lariat_port" "$redis_port"); fi
        for turn in "${turns[@]}"; do
            read -r set get < <(redis_rates "$turn")
            if [ "$round" = 0 ]; then continue; fi
            if [ "$turn" = "$lariat_port" ]; then
                our_sets+=("$set") our_gets+=("$get")
            else
                their_sets+=("$set") their_gets+=("$get")
            fi
        done
    done
    if [ "$(median "${our_gets[@]}")" = 0 ] || [ "$(median "${their_gets[@]}")" = 0 ]; then
        unmeasured redis && return
    fi
    gauge redis-set "$(median "${our_sets[@]}")" "$(median "${their_sets[@]}")" "requests/s"
    gauge redis-get "$(median "${our_gets[@]}")" "$(median "${their_gets[@]}")" "requests/s"
}

gauge_generators() {
    local ours=() theirs=() steps
    if ! command -v lua5.4 >/dev/null; then
        skip "generators: lua5.4, to compare with, is not installed (make deps)"
        return
    fi
    steps=$(sized 1000000 10000)
    for _ in $(seq "$(sized 7 1)"); do
        ours+=("$("${first[@]}" "${on_server_core[@]}" "$lariat" "$here/generators.lua" "$steps")")
        theirs+=("$("${first[@]}" "${on_server_core[@]}" lua5.4 "$here/generators.lua" "$steps")")
    done
    gauge generators "$(median "${ours[@]}")" "$(median "${theirs[@]}")" "ns a step"
}

gauge_simulation() {
    local rates=() rate
    for _ in 1 2 3; do
        rate=$("${first[@]}" "${on_server_core[@]}" "$lariat" "$here/simulation.lua" "$(sized 600 5)")
        if [ -z "$rate" ]; then unmeasured simulation && return; fi
        rates+=("$rate")
    done
    gauge simulation "$(median "${rates[@]}")" 0 "events/s"
}
