# Sourced by start and test: what both need before Bun is there. Expects $root; plain POSIX shell.

say() { printf 'tidings: %s\n' "$*" >&2; }

need_node() {
  if command -v node >/dev/null 2>&1 && command -v npm >/dev/null 2>&1; then return 0; fi
  say 'Node.js (20 or newer) and npm are needed to install the rest. On Debian:'
  say '  sudo apt-get install nodejs npm'
  return 1
}

bun_works() { "$root/node_modules/.bin/bun" --version >/dev/null 2>&1; }

# The package holds a placeholder until its install script has run, which npm can be told not to do.
need_bun() {
  bun_works && return 0
  node "$root/node_modules/bun/install.js" >&2 || true
  bun_works && return 0
  say 'Bun did not install. Remove node_modules and try again.'
  return 1
}
