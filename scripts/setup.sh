# Sourced by scripts that start something: what they need before Bun is there. Expects $root; plain POSIX shell.

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

# The packages that a server needs, and Bun.
need_running() {
  if ! node "$root/scripts/installed.mjs" --running; then
    if node "$root/scripts/installed.mjs" --dev-found; then
      # npm would remove what an install for running only does not ask for.
      say 'installing the packages that package-lock.json names (npm install)'
      (cd "$root" && npm install --no-save --loglevel=error >&2)
    else
      bun_version=$(cd "$root" && node -p 'require("./package.json").devDependencies.bun')
      say "installing Bun $bun_version and the packages that a server needs (npm install, a few seconds)"
      (cd "$root" && npm install --omit=dev --no-save --save-prod --loglevel=error "bun@$bun_version" >&2)
    fi
  fi
}

# Debian keeps servers where the path of an ordinary user does not lead.
have() (
  PATH="$PATH:/usr/sbin"
  command -v "$1" >/dev/null 2>&1
)

# Installs packages, by Debian's names for them. Where that is not to be done without asking, says how, and fails.
install_packages() {
  as_root=''
  [ "$(id -u)" = 0 ] || as_root='sudo'
  if [ -e /etc/debian_version ] && { [ -z "$as_root" ] || command -v sudo >/dev/null 2>&1; }; then
    say "installing from Debian's packages: $*"
    {
      $as_root apt-get update -qq &&
        $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$@"
    } >&2
    return
  fi
  names=''
  for package in "$@"; do
    [ "$package" = redis-server ] && package=redis
    names="$names $package"
  done
  say "missing:$names. To install:"
  if command -v brew >/dev/null 2>&1; then say "  brew install$names"
  elif command -v dnf >/dev/null 2>&1; then say "  sudo dnf install$names"
  elif command -v pacman >/dev/null 2>&1; then say "  sudo pacman -S$names"
  elif command -v apk >/dev/null 2>&1; then say "  sudo apk add$names"
  else say "  sudo apt-get install $*   (or your system's way)"
  fi
  return 1
}
