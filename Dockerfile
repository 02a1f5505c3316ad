# docker build --build-arg TIDINGS_COMMIT=$(git rev-parse --short=12 HEAD) -t tidings .
# docker run -p 3000:3000 -v tidings:/data -e TIDINGS_AUTH_SECRET tidings

FROM node:24-bookworm-slim AS build
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
RUN npm install --no-save
# Bun's package holds a placeholder until its install script has run, which npm may have been told not to do.
RUN node_modules/.bin/bun --version || node node_modules/bun/install.js
COPY tsconfig.json ./
COPY scripts scripts
COPY src src
ARG TIDINGS_COMMIT=unknown
RUN TIDINGS_COMMIT=$TIDINGS_COMMIT node_modules/.bin/bun run build
RUN mkdir data

# The build stage's libc, certificates and a user, but neither a shell nor a package manager.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /build/dist/tidings /usr/local/bin/tidings
# The folder comes with its owner before it becomes a volume: a new volume takes both over.
COPY --from=build --chown=65532:65532 /build/data /data
# Handlers of --app read it, and the runtime would write "development" into them where it is not set.
ENV NODE_ENV=production
ENV TIDINGS_STORE_PATH=/data/tidings.db
VOLUME /data
EXPOSE 3000
# A number, so that an orchestrator can tell without the image's list of users that it is not root.
USER 65532:65532
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s --retries=3 CMD ["/usr/local/bin/tidings", "health"]
ENTRYPOINT ["tidings"]
CMD ["serve"]
