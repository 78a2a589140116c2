#!/bin/bash
# Runs what docker-compose.yml describes without containers: PostgreSQL from Debian, the Temporal
# server, temporal-sql-tool and Web UI built from their Go modules at the versions of the compose file, the
# scripts of deploy/, and one worker. Backs up one file, kills the server, and looks again.
# Everything is on the loopback interface and in one temporary directory, removed at the end.
#
#   STACK_BIN=DIR           binaries from there; those that are missing are built into it
#   TEMPORAL_CLI_PATH=FILE  the temporal command (otherwise PATH, otherwise the project's own)
#   FILE_BACKUP_MAIN=FILE   another build of the command than lib/cli/main.js
#   KEEP=1                  keep the temporary directory with the logs
set -euo pipefail
repository="$(cd "$(dirname "$0")/.." && pwd)"
cd "$repository"

work="$(mktemp -d)"
chmod 755 "$work"
mkdir -p "$work"/{bin,log,source,backups,state}
bin="${STACK_BIN:-$work/built}"
main="${FILE_BACKUP_MAIN:-lib/cli/main.js}"
command_line=(node "$main")
server_pid='' ui_pid='' worker_pid='' postgresql_is_up=''

say() { printf '\n== %s\n' "$*"; }
fail() {
  printf '\nFAILED: %s\n' "$*" >&2
  tail -n 15 "$work"/log/* >&2 || true
  exit 1
}

stop() { # a process of ours: ask, wait, insist
  [ -n "$1" ] || return 0
  kill -TERM "$1" 2>/dev/null || return 0
  for _ in $(seq 100); do
    kill -0 "$1" 2>/dev/null || return 0
    sleep 0.2
  done
  kill -KILL "$1" 2>/dev/null || true
}

clean_up() {
  local status=$?
  trap '' INT TERM
  stop "$worker_pid"
  stop "$ui_pid"
  stop "$server_pid"
  if [ -n "$postgresql_is_up" ]; then
    as_postgres "$postgresql_bin/pg_ctl" stop --silent --mode=fast --pgdata="$work/postgresql" || true
  fi
  if [ -n "${KEEP:-}" ]; then
    echo "Kept: $work"
  else
    rm -rf "$work"
  fi
  exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

wait_until() { # description, seconds, command
  local what="$1" deadline=$((SECONDS + $2))
  shift 2
  until "$@" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$deadline" ] || fail "timed out: $what"
    sleep 0.3
  done
}

compose_default() { # the default of ${NAME:-default} in docker-compose.yml
  sed -n "s/.*\${$1:-\([^}]*\)}.*/\1/p" docker-compose.yml | head -1
}
server_version="$(compose_default TEMPORAL_VERSION)"
ui_version="$(compose_default TEMPORAL_UI_VERSION)"
namespace="$(compose_default TEMPORAL_NAMESPACE)"
task_queue="$(compose_default FILE_BACKUP_TASK_QUEUE)"

# --- PostgreSQL, never run as root ---------------------------------------------------------

install_postgresql() {
  [ "$(id -u)" -eq 0 ] || fail 'no PostgreSQL server found, and only root can install one'
  mkdir -p /etc/postgresql-common
  # Without this the package starts a cluster of its own.
  [ -e /etc/postgresql-common/createcluster.conf ] ||
    echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql-15 >"$work/log/apt" 2>&1
}

find_postgresql() {
  for directory in /usr/lib/postgresql/{16,15}/bin; do
    if [ -x "$directory/initdb" ]; then
      echo "$directory"
      return
    fi
  done
}

as_postgres() {
  if [ "$(id -u)" -eq 0 ]; then
    (cd / && runuser -u postgres -- "$@")
  else
    "$@"
  fi
}

start_postgresql() {
  mkdir "$work/postgresql"
  printf '%s' "$SQL_PASSWORD" >"$work/password"
  if [ "$(id -u)" -eq 0 ]; then
    chown postgres "$work/postgresql" "$work/password"
  fi
  as_postgres "$postgresql_bin/initdb" --pgdata="$work/postgresql" --username="$SQL_USER" --pwfile="$work/password" \
    --auth=scram-sha-256 --encoding=UTF8 --locale=C.UTF-8 >"$work/log/initdb"
  : >"$work/log/postgresql"
  chmod 666 "$work/log/postgresql"
  as_postgres "$postgresql_bin/pg_ctl" start --silent --wait --pgdata="$work/postgresql" --log="$work/log/postgresql" \
    --options="-c listen_addresses=127.0.0.1 -c port=$SQL_PORT -c unix_socket_directories=''"
  postgresql_is_up=yes
  # As the postgres image does: a database named after the user is there already.
  PGPASSWORD="$SQL_PASSWORD" createdb --host=127.0.0.1 --port="$SQL_PORT" --username="$SQL_USER" "$SQL_USER"
}

# --- Temporal ------------------------------------------------------------------------------

build() { # module@version, package, name of the binary
  [ -x "$bin/$3" ] && return
  command -v go >/dev/null || fail "Go is needed to build $1"
  mkdir -p "$bin"
  GOBIN="$work/gobin" go install -p 1 "${1%@*}/$2@${1#*@}"
  mv "$work/gobin/$(basename "$2")" "$bin/$3"
}

module_directory() {
  go mod download -json "$1" | sed -n 's/^\t"Dir": "\(.*\)",\{0,1\}$/\1/p'
}

find_temporal_command() {
  if [ -n "${TEMPORAL_CLI_PATH:-}" ]; then
    echo "$TEMPORAL_CLI_PATH"
  elif command -v temporal; then
    return
  elif [ -e lib/server/binary.js ]; then
    node -e "require('./lib/server/binary.js').resolveTemporalBinary().then((found) => console.log(typeof found === 'string' ? found : found.path))"
  else
    return 1
  fi
}

start_server() { # the environment of the compose file's service; addresses and ports differ
  local ports=()
  for service in FRONTEND HISTORY MATCHING WORKER; do
    ports+=("${service}_GRPC_PORT=$((next_port++))" "${service}_MEMBERSHIP_PORT=$((next_port++))")
  done
  ports[0]="FRONTEND_GRPC_PORT=$frontend_port"
  env "${ports[@]}" FRONTEND_HTTP_PORT="$((next_port++))" \
    DB=postgres12 POSTGRES_SEEDS=127.0.0.1 DB_PORT="$SQL_PORT" POSTGRES_USER="$SQL_USER" POSTGRES_PWD="$SQL_PASSWORD" \
    NUM_HISTORY_SHARDS="$(compose_default TEMPORAL_HISTORY_SHARDS)" BIND_ON_IP=127.0.0.1 TEMPORAL_ALLOW_NO_AUTH=true \
    DYNAMIC_CONFIG_FILE_PATH="$repository/deploy/dynamic-config.yaml" LOG_LEVEL="$(compose_default TEMPORAL_LOG_LEVEL)" \
    "$bin/temporal-server" start >>"$work/log/temporal" 2>&1 &
  server_pid=$!
}

start_ui() {
  mkdir "$work/ui"
  cp "$(module_directory "github.com/temporalio/ui-server/v2@v$ui_version")/config/docker.yaml" "$work/ui/docker.yaml"
  chmod 644 "$work/ui/docker.yaml"
  printf '\nhost: 127.0.0.1\n' >>"$work/ui/docker.yaml"
  TEMPORAL_UI_PORT="$ui_port" "$bin/temporal-ui" --root "$work" --config ui --env docker start >"$work/log/ui" 2>&1 &
  ui_pid=$!
}

get() { node -e "fetch(process.argv[1]).then(async (a) => { console.log(a.status, (await a.text()).slice(0, 200)); process.exit(a.ok ? 0 : 1); }, () => process.exit(1))" "$1"; }

free_ports() { # the first of 20 free ports in a row, below the range that connections use
  node -e "
    const { createServer } = require('node:net');
    const free = (port) => new Promise((done) => {
      const server = createServer().once('error', () => done(false));
      server.listen(port, '127.0.0.1', () => server.close(() => done(true)));
    });
    (async () => {
      for (;;) {
        const first = 20000 + Math.floor(Math.random() * 10000);
        const all = await Promise.all(Array.from({ length: 20 }, (_, i) => free(first + i)));
        if (all.every(Boolean)) return console.log(first);
      }
    })();"
}

# --- The run -------------------------------------------------------------------------------

say "Binaries: Temporal server $server_version, Web UI $ui_version"
postgresql_bin="$(find_postgresql)"
if [ -z "$postgresql_bin" ]; then
  install_postgresql
  postgresql_bin="$(find_postgresql)"
fi
build "go.temporal.io/server@v$server_version" cmd/server temporal-server
build "go.temporal.io/server@v$server_version" cmd/tools/sql temporal-sql-tool
build "github.com/temporalio/ui-server/v2@v$ui_version" cmd/server temporal-ui
temporal_command="$(find_temporal_command)" || fail 'no temporal command: set TEMPORAL_CLI_PATH'
ln -s "$temporal_command" "$work/bin/temporal"
export PATH="$work/bin:$bin:$PATH"
"$postgresql_bin/postgres" --version
temporal-server --version
temporal-sql-tool --version
temporal-ui --version
temporal --version

next_port="$(free_ports)"
export SQL_HOST=127.0.0.1 SQL_PORT=$((next_port++)) SQL_USER=temporal
SQL_PASSWORD="$(node -p "require('node:crypto').randomBytes(12).toString('hex')")"
export SQL_PASSWORD
frontend_port=$((next_port++))
ui_port=$((next_port++))
health_port=$((next_port++))
first_server_port=$next_port
export TEMPORAL_ADDRESS="127.0.0.1:$frontend_port" TEMPORAL_NAMESPACE="$namespace"

say 'PostgreSQL and the schemas (deploy/setup-schema.sh), twice: the second time must change nothing'
start_postgresql
sh deploy/setup-schema.sh >"$work/log/schema" 2>&1 || fail 'deploy/setup-schema.sh'
sh deploy/setup-schema.sh >>"$work/log/schema" 2>&1 || fail 'deploy/setup-schema.sh, second time'
for database in temporal temporal_visibility; do
  PGPASSWORD="$SQL_PASSWORD" psql --host=127.0.0.1 --port="$SQL_PORT" --username="$SQL_USER" --dbname="$database" \
    --no-align --tuples-only --command="SELECT '$database: schema ' || curr_version FROM schema_version"
done

say 'Temporal server, namespace and search attributes (deploy/setup-namespace.sh), twice'
temporal-server validate-dynamic-config deploy/dynamic-config.yaml || fail 'deploy/dynamic-config.yaml'
started=$SECONDS
start_server
sh deploy/setup-namespace.sh 2>&1 | tee "$work/log/namespace" || fail 'deploy/setup-namespace.sh'
echo "Ready after $((SECONDS - started)) s."
sh deploy/setup-namespace.sh >>"$work/log/namespace" 2>&1 || fail 'deploy/setup-namespace.sh, second time'
temporal operator namespace describe --namespace "$namespace" | grep -E 'Name|Retention'
temporal operator search-attribute list | grep FileBackup

say 'A workflow can be found by the search attributes'
temporal workflow start --type probe --workflow-id probe --task-queue nobody \
  --search-attribute 'FileBackupState="running"' --search-attribute 'FileBackupBytes=42' >"$work/log/probe"
found_by_attribute() { temporal workflow list --query 'FileBackupState = "running" AND FileBackupBytes > 41' | grep probe; }
wait_until 'the probe is listed' 30 found_by_attribute
found_by_attribute
temporal workflow terminate --workflow-id probe >"$work/log/probe"
temporal workflow delete --yes --workflow-id probe >>"$work/log/probe"

say 'An ID of 256 characters is refused (deploy/dynamic-config.yaml)'
long_id="$(printf 'x%.0s' $(seq 256))"
refusal="$(temporal workflow start --type probe --workflow-id "$long_id" --task-queue nobody 2>&1)" &&
  fail 'an ID of 256 characters was accepted'
grep -Eo 'WorkflowId exceeds maximum allowed length.*' <<<"$refusal" || fail "$refusal"

say 'Web UI'
start_ui
wait_until 'the Web UI answers' 30 get "http://127.0.0.1:$ui_port/healthz"
get "http://127.0.0.1:$ui_port/api/v1/namespaces/$namespace/workflow-count"

if [ ! -e "$main" ]; then
  say "There is no $main (npm run build): the worker is left out"
  exit 0
fi

say 'One worker, one file'
start_worker() {
  "${command_line[@]}" worker --source-root "$work/source" --destination-root "$work/backups" --task-queue "$task_queue" \
    --state-dir "$work/state" --health-port "$health_port" --shutdown-grace 10 >>"$work/log/worker" 2>&1 &
  worker_pid=$!
  wait_until 'the worker is healthy' 60 get "http://127.0.0.1:$health_port/healthz"
}
back_up() {
  "${command_line[@]}" file "$work/source/$1" "$work/backups/$1" --task-queue "$task_queue" --state-dir "$work/state" ||
    fail "file-backup file $1 (exit code $?)"
  cmp "$work/source/$1" "$work/backups/$1"
  echo "$1: source and backup are equal."
}
head -c 5000000 /dev/urandom >"$work/source/first.bin"
head -c 5000000 /dev/urandom >"$work/source/second.bin"
start_worker
get "http://127.0.0.1:$health_port/healthz"
back_up first.bin

say 'The server is killed and started again: the worker goes on, the first run is still known'
kill -KILL "$server_pid"
wait "$server_pid" 2>/dev/null || true
next_port=$first_server_port
start_server
wait_until 'the server is healthy again' 60 temporal operator cluster health
back_up second.bin
"${command_line[@]}" runs --state-dir "$work/state" || fail 'file-backup runs'
"${command_line[@]}" stats --state-dir "$work/state" || fail 'file-backup stats'

say 'The worker stops on SIGTERM'
started=$SECONDS
kill -TERM "$worker_pid"
worker_status=0
wait "$worker_pid" || worker_status=$?
worker_pid=''
echo "Exit code $worker_status after $((SECONDS - started)) s."
[ "$worker_status" -eq 0 ] || fail 'the worker did not stop cleanly'

say 'All of it works'
