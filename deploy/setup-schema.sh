#!/bin/sh
# Creates Temporal's two PostgreSQL databases and brings their schemas to this
# version of temporal-sql-tool. Every step may be repeated, so this also upgrades.
# Connection: SQL_HOST, SQL_PORT, SQL_USER, SQL_PASSWORD, read by the tool itself.
set -eu

: "${SQL_HOST:?the PostgreSQL host}"
: "${SQL_USER:?the PostgreSQL user}"
: "${SQL_PASSWORD:?the PostgreSQL password}"
export SQL_PORT="${SQL_PORT:-5432}"
export SQL_PLUGIN="${SQL_PLUGIN:-postgres12}"

setup() {
  echo "$1: create, then bring to the newest version of $2"
  temporal-sql-tool --database "$1" create-database
  temporal-sql-tool --database "$1" setup-schema --version 0.0
  temporal-sql-tool --database "$1" update-schema --schema-name "$2"
}

setup "${TEMPORAL_DATABASE:-temporal}" postgresql/v12/temporal
setup "${TEMPORAL_VISIBILITY_DATABASE:-temporal_visibility}" postgresql/v12/visibility
echo 'Both schemas are ready.'
