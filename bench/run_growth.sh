# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# How costs grow. Each curve is lines "growth CURVE AMOUNT VALUE REFERENCE UNIT" in the results,
# separated by tabs. A curve that should be flat is; a byte of a long line costs what one of a short
# line does. Part of run.sh.

run_growth() {
    grow_connections
    grow_tasks
    grow_lines
    grow_crowds
    grow_exit
}

# growth CURVE AMOUNT VALUE REFERENCE UNIT
growth() {
    if [ -z "$3" ] || [ -z "$4" ]; then unmeasured "growth of $1 to $2" && return; fi
    printf 'growth\t%s\t%s\t%s\t%s\t%s\n' "$@" >>"$results"
    echo "growth of $1: $2: $3 $5$([ "$4" = 0 ] || echo ", to $4 of C")"
    measured=$((measured + 1))
}

# cpu_of LABEL NAME: the processor time of a message, in microseconds, from the results of load.
cpu_of() {
    awk -F '\t' -v label="$1" -v name="$2" \
        '$1 == "server" && $2 == label && $3 == name { print $5; exit }' "$results"
}

# drive LABEL CONNECTIONS CASE_OPTIONS...: load's table goes unseen, its numbers into the results.
drive() {
    local label=$1 connections=$2 slice=$((10 + $2 / 20)) cycles
    shift 2
    cycles=$((3000 / slice + 4))
    if [ "$smoke" = yes ]; then slice=20 cycles=3; fi
    in_background "${first[@]}" "${on_client_core[@]}" "$load" --connections "$connections" \
        --slice-ms "$slice" --cycles "$cycles" --results "$results" --label "$label" "$@" \
        "${targets[@]}" >"$scratch/output"
    case $? in
    0 | 3) return 0 ;;
    esac
    cat "$scratch/output"
    unmeasured "$label"
    return 1
}

# With 10,000 connections a client has no descriptors for two servers: they take turns as a whole.
grow_connections() {
    local connections label
    for connections in $(sized "1 10 100 1000 3000 10000" "1 100"); do
        label=connections-$connections
        if ! enough_descriptors $((connections + 64)); then
            skip "growth to $connections connections: the limit of open files is $(ulimit -Hn)"
            continue
        fi
        core=("${on_server_core[@]}")
        start C "$server" echo 0
        drive "$label" "$connections"
        end_servers
        start lariat "$lariat" "$here/echo.lua" 0
        drive "$label" "$connections"
        end_servers
        growth connections "$connections" "$(cpu_of "$label" lariat)" "$(cpu_of "$label" C)" \
            "us a message"
    done
}

grow_tasks() {
    local tasks all
    all=$(sized "1 10 100 1000 10000 100000" "1 1000")
    core=("${on_server_core[@]}")
    for tasks in $all; do start "tasks-$tasks" "$lariat" "$here/among_tasks.lua" "$tasks" 0; done
    if drive tasks 64; then
        for tasks in $all; do
            growth tasks "$tasks" "$(cpu_of tasks "tasks-$tasks")" 0 "us a message"
        done
    fi
    end_servers
}

grow_lines() {
    local kind amount value
    while read -r kind amount value; do
        case $kind in
        line) growth line "$amount" "$value" 0 "ns a byte" ;;
        flow) growth flow "$amount" "$value" 0 "KiB resident" ;;
        esac
    done < <("${first[@]}" "${on_server_core[@]}" "$lariat" "$here/long_line.lua" \
        "$(sized 64 1)" "$(sized 100 2)")
}

grow_crowds() {
    local curve tasks
    for curve in event event-and-conn semaphore-fail semaphore-time senders cancel serve-end close; do
        for tasks in $(sized "1000 10000 100000" "100"); do
            growth "$curve" "$tasks" "$("${first[@]}" "${on_server_core[@]}" "$lariat" \
                "$here/crowds.lua" "$curve" "$tasks")" 0 us
        done
    done
}

# From the call of os.exit to the end of the process.
grow_exit() {
    local kind tasks
    for kind in swallow semaphore close; do
        for tasks in $(sized "1000 10000 100000" "100"); do
            growth "exit-$kind" "$tasks" "$("${first[@]}" "${on_server_core[@]}" "$lariat" \
                "$here/exit.lua" "$kind" "$tasks" |
                awk '{ start = $1 } END { getline <"/proc/uptime"; printf "%.2f", $1 - start }')" 0 s
        done
    done
}
