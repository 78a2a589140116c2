#!/bin/bash
# Reads docker-compose.yml with a compose implementation's `config` (no container engine
# needed) and checks what must hold for it: pinned images, loopback ports, enough time to stop.
# COMPOSE names the implementation, for example COMPOSE="docker compose".
set -euo pipefail
cd "$(dirname "$0")/.."

find_compose() {
  if [ -n "${COMPOSE:-}" ]; then
    echo "$COMPOSE"
  elif docker compose version >/dev/null 2>&1; then
    echo 'docker compose'
  elif command -v docker-compose >/dev/null; then
    echo 'docker-compose'
  else
    echo 'No compose implementation found (Debian: apt-get install docker-compose).' >&2
    return 1
  fi
}

failures=0
check() { # what is checked, then the offending lines (none: all is well)
  if [ -z "$2" ]; then
    echo "ok      $1"
  else
    printf 'FAILED  %s\n%s\n' "$1" "$2"
    failures=$((failures + 1))
  fi
}

read -ra compose <<<"$(find_compose)"
"${compose[@]}" version | sed -n 1p
config="$("${compose[@]}" -f docker-compose.yml config)"

images="$(grep -E '^ +image:' <<<"$config")"
check 'every image has a version' \
  "$(grep -Ev ':(v?[0-9][^:]*|local)$' <<<"$images" || true)"

# 1.29 prints `- 127.0.0.1:7233:7233/tcp`; 2.x prints `host_ip: 127.0.0.1` beside `published: "7233"`.
published="$(grep -Ec 'published:|:[0-9]+/(tcp|udp)$' <<<"$config" || true)"
on_loopback="$(grep -Ec 'host_ip: 127\.0\.0\.1$|- 127\.0\.0\.1:[0-9]+:[0-9]+/' <<<"$config" || true)"
check "every published port is on 127.0.0.1 ($on_loopback of $published)" \
  "$([ "$published" -eq "$on_loopback" ] && [ "$published" -gt 0 ] || echo "published: $published, on loopback: $on_loopback")"

worker="$(awk '/^ +worker:$/ { inside = 1; next } inside && /^( {0,4}[a-z]|[a-z])/ && !/^ {4,}/ { exit } inside' <<<"$config")"
grace="$(grep -A1 -- '--shutdown-grace' <<<"$worker" | tail -1 | tr -cd '0-9')"
stop="$(sed -nE 's/^ +stop_grace_period: //p' <<<"$worker")"
case "$stop" in
  *m*s) stop_seconds=$((${stop%%m*} * 60 + $(tr -cd 0-9 <<<"${stop#*m}"))) ;;
  *) stop_seconds="${stop%s}" ;;
esac
check "the worker's stop_grace_period ($stop) is longer than its --shutdown-grace (${grace}s)" \
  "$([ "$stop_seconds" -gt "$grace" ] || echo "$stop_seconds <= $grace")"

check 'no depends_on without a condition' \
  "$(grep -A2 -E '^ +depends_on:' <<<"$config" | grep -E '^ +- ' || true)"

for file in deploy/*.sh scripts/*.sh; do
  check "$file is well-formed" "$(bash -n "$file" 2>&1)"
  if command -v shellcheck >/dev/null; then
    check "$file passes shellcheck" "$(shellcheck "$file" 2>&1 || true)"
  fi
done

exit $((failures > 0))
