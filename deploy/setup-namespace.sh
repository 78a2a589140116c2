#!/bin/sh
# Waits for a Temporal server, then makes sure that the namespace and this project's
# search attributes exist. What exists already is left as it is.
# Server and namespace: TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE, read by the command itself.
set -eu

export TEMPORAL_ADDRESS="${TEMPORAL_ADDRESS:-127.0.0.1:7233}"
export TEMPORAL_NAMESPACE="${TEMPORAL_NAMESPACE:-default}"
retention="${TEMPORAL_RETENTION:-90d}"
tries_left="${TEMPORAL_SETUP_TRIES:-60}"

again_or_give_up() {
  tries_left=$((tries_left - 1))
  if [ "$tries_left" -le 0 ]; then
    echo "Gave up: $1" >&2
    exit 1
  fi
  sleep 2
}

until temporal operator cluster health >/dev/null 2>&1; do
  again_or_give_up "no healthy Temporal server at $TEMPORAL_ADDRESS"
done

until temporal operator namespace describe --namespace "$TEMPORAL_NAMESPACE" >/dev/null 2>&1; do
  # Creating may fail because somebody else was faster: the next describe tells.
  temporal operator namespace create --namespace "$TEMPORAL_NAMESPACE" --retention "$retention" ||
    again_or_give_up "namespace $TEMPORAL_NAMESPACE cannot be created"
done
echo "Namespace $TEMPORAL_NAMESPACE is there."

listed() {
  temporal operator search-attribute list | grep -Eq "^ *$1 +$2 *\$"
}

created=no
for attribute in FileBackupState:Keyword FileBackupOperationId:Keyword FileBackupBytes:Int; do
  name="${attribute%:*}"
  type="${attribute#*:}"
  # A namespace created a moment ago is not known to every part of the server yet.
  until listed "$name" "$type" 2>/dev/null; do
    temporal operator search-attribute create --name "$name" --type "$type" ||
      again_or_give_up "search attribute $name cannot be created as $type"
    created=yes
  done
  echo "Search attribute $name ($type) is there."
done

# Each part of the server reads namespaces anew every 2 seconds. Until all of them have done so,
# a workflow with a new attribute is refused: "has no mapping defined for search attribute".
if [ "$created" = yes ]; then
  sleep 5
fi
until temporal workflow count --query 'FileBackupState = "running" AND FileBackupBytes > 0' >/dev/null 2>&1; do
  again_or_give_up 'the search attributes cannot be queried'
done
echo 'Ready for workflows.'
