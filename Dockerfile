# The file-backup worker and command. See docs/deployment.md.

FROM node:20.20.2-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# What it prepares is not here yet, and is built below.
RUN npm pkg delete scripts.prepare && npm ci
COPY tsconfig.json ./
COPY scripts ./scripts
COPY src ./src
RUN npm run build && npm prune --omit=dev

FROM node:20.20.2-bookworm-slim
# ca-certificates: the slim image has none, and TLS to a Temporal service needs them.
# tini: passes signals on and reaps processes; node should not be process 1.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates tini \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/lib ./lib
# A new volume takes over owner and mode of the directory it covers: /backups and /state
# are writable for any user, so that the container may run under the files' own owner.
RUN chmod 755 lib/cli/main.js \
 && ln -s /app/lib/cli/main.js /usr/local/bin/file-backup \
 && install -d /source \
 && install -d -m 1777 /backups /state
ENV NODE_ENV=production \
    XDG_STATE_HOME=/state \
    XDG_CACHE_HOME=/tmp
USER node
VOLUME ["/backups", "/state"]
# Asks with Node, because the image has no curl. Port: --health-port below.
HEALTHCHECK --interval=30s --timeout=10s --start-period=30s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:8081/healthz').then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["tini", "--", "node", "/app/lib/cli/main.js"]
CMD ["worker", "--source-root", "/source", "--destination-root", "/backups", "--state-dir", "/state/file-backup", "--health-port", "8081"]
