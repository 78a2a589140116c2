#!/bin/bash
# Does in an empty directory what the Dockerfile's build stage does in an image: the same
# files, the same commands, with the Node.js that is installed. For machines without a container engine.
#
#   scripts/build-image-tree.sh DIRECTORY
set -euo pipefail
target="${1:?an empty directory}"
cd "$(dirname "$0")/.."
mkdir -p "$target"
[ -z "$(ls -A "$target")" ] || { echo "$target is not empty." >&2; exit 1; }

copy() { # sources, then the destination below the target, as COPY has it
  local sources=("${@:1:$#-1}") destination="${*: -1}"
  for source in "${sources[@]}"; do
    grep -qx "!$source" .dockerignore || { echo "$source is left out by .dockerignore." >&2; exit 1; }
  done
  cp -R "${sources[@]}" "$target/$destination"
}

while read -r instruction arguments; do
  case "$instruction" in
    COPY) read -ra words <<<"$arguments" && echo "+ COPY $arguments" && copy "${words[@]}" ;;
    RUN) echo "+ $arguments" && (cd "$target" && sh -c "$arguments" </dev/null) ;;
  esac
done < <(sed '1,/^FROM .* AS build$/d; /^FROM /,$d' Dockerfile)
du -sh "$target/node_modules" "$target/lib"
