# shellcheck shell=bash
# common.sh: what the scripts beside it share; sourced by bash, never run.
#
# Assumes bash, and root, sudo, or a machine that has everything already. Keeps to these rules:
#   - the tree is only read: all is built in a copy below a temporary directory (so the tree may lie in a path with
#     spaces); only the logs of a failed run are left, in build/
#   - nothing that belongs to a server runs as root: when root, it runs as user postgres
#   - no cluster is touched but those below the temporary directory, which listen on sockets of their own and no port

set -euo pipefail

tree=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
script=${0##*/}
src=          # the copy of the tree
job=          # process group of the running step
background=() # process groups of what runs beside the steps
log=          # what the running step writes
apt_dropin=   # a setting of postgresql-common, there only while packages are being installed

export LC_ALL=C.UTF-8 LANGUAGE=
unset PGHOST PGHOSTADDR PGPORT PGUSER PGPASSWORD PGPASSFILE PGDATABASE PGSERVICE PGOPTIONS PGDATA PSQLRC MAKEFLAGS MFLAGS

say() { printf '%s\n' "== $*"; }
die() { printf '%s\n' "$script: $*" >&2; exit 1; }

# -- the temporary directory, and how it goes away ---------------------------------------------------------------------

# A socket's path is at most 107 bytes long, make wants no space in a path, user postgres has to get there.
make_work() {
  local base=/tmp
  if [ "$(id -u)" != 0 ] && [[ ${TMPDIR:-} =~ ^/[^[:space:]]{1,50}$ ]]; then base=$TMPDIR; fi
  work=$(mktemp -d "$base/guardrail.XXXXXX")
  src=$work/src
  mkdir "$src" "$work/logs" "$work/sock"
  trap clean_up EXIT
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 143' TERM
}

# last_words STATUS: a script that has something to say at its end says it in its own
last_words() { :; }

clean_up() {
  local rc=$? pidfile group
  trap - EXIT
  trap '' HUP INT TERM
  set +e
  cd /
  for group in $job "${background[@]}"; do
    kill -TERM -- "-$group" 2>/dev/null
    wait "$group" 2>/dev/null
  done
  find "$work" -name postmaster.pid 2>/dev/null | while read -r pidfile; do
    as_user "$bindir/pg_ctl" -D "${pidfile%/*}" -m immediate -w stop >/dev/null 2>&1 </dev/null
  done
  if [ -n "$apt_dropin" ]; then elevated rm -f "$apt_dropin"; fi
  if [ "$rc" != 0 ]; then keep_logs; fi
  rm -rf "$work"
  last_words "$rc"
  exit "$rc"
}

# what a failed run leaves behind, owned by whoever owns the tree
keep_logs() {
  local kept=$tree/build/$script-logs
  rm -rf "$kept"
  mkdir -p "$kept" && cp -r "$work"/logs/. "$kept" || return 0
  if [ "$(id -u)" = 0 ]; then chown -R --reference="$tree" "$tree/build"; fi
  printf '%s\n' "$script: the logs are in build/${kept##*/}" >&2
}

# -- who runs what -----------------------------------------------------------------------------------------------------

elevated() {
  if [ "$(id -u)" = 0 ]; then "$@"
  elif command -v sudo >/dev/null; then sudo "$@"
  else die "neither root nor sudo, and this is needed: $*"
  fi
}

# as_user COMMAND...: as oneself, or as user postgres when root
as_user() {
  if [ "$(id -u)" = 0 ]; then
    HOME=$work setpriv --reuid=postgres --regid=postgres --init-groups -- "$@"
  else
    "$@"
  fi
}

# step NAME COMMAND...: into logs/NAME.log, in a process group of its own so that a signal ends all of it
step() {
  local rc=0
  log=$work/logs/$1.log
  shift
  set -m
  "$@" >"$log" 2>&1 </dev/null &
  job=$!
  set +m
  wait "$job" || rc=$?
  job=
  return "$rc"
}

# beside NAME COMMAND...: into logs/NAME.log too, until the script ends
beside() {
  local output=$work/logs/$1.log
  shift
  set -m
  "$@" >"$output" 2>&1 </dev/null &
  background+=("$!")
  set +m
}

# must NAME COMMAND...: a step without which there is no going on
must() {
  step "$@" || { tail -n 40 "$log" >&2; die "failed: $1"; }
}

# -- the machine -------------------------------------------------------------------------------------------------------

# usable PG_CONFIG: of a server that extensions can be built for and that can be started
usable() { [ -x "$1" ] && [ -e "$("$1" --pgxs 2>/dev/null)" ] && [ -x "$("$1" --bindir)/initdb" ]; }

# sets pg_config: the one asked for by PG_CONFIG, else the first in PATH, else Debian's newest
find_pg_config() {
  local candidate
  if [ -n "${PG_CONFIG:-}" ]; then
    pg_config=$(command -v "$PG_CONFIG") && usable "$pg_config"
    return
  fi
  for candidate in "$(command -v pg_config)" $(printf '%s\n' /usr/lib/postgresql/*/bin/pg_config | sort -rV); do
    if usable "$candidate"; then
      pg_config=$candidate
      return
    fi
  done
  return 1
}

# the major version to install: of PG_CONFIG's path, else of the server that is there, else the release's newest
choose_major() {
  local major
  if [ -n "${PG_CONFIG:-}" ]; then
    sed -n 's|^/usr/lib/postgresql/\([0-9]*\)/bin/pg_config$|\1|p' <<<"$PG_CONFIG"
    return
  fi
  major=$(printf '%s\n' /usr/lib/postgresql/*/bin/postgres | sed -n 's|^[^0-9]*/\([0-9]*\)/bin.*|\1|p' | sort -n | tail -n 1)
  if [ "${major:-0}" -lt 15 ]; then
    major=$(apt-cache pkgnames postgresql-server-dev- | sed -n 's/^[^0-9]*-\([0-9]*\)$/\1/p' | sort -n | tail -n 1)
  fi
  printf '%s\n' "$major"
}

missing_packages() {
  local package
  for package in "$@"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || printf '%s ' "$package"
  done
}

apt_get() {
  log=$work/logs/apt.log
  elevated env DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 \
    apt-get -q -y -o Dpkg::Options::=--force-confold "$@" >>"$log" 2>&1 </dev/null ||
    { tail -n 20 "$log" >&2; die "apt-get $1 failed"; }
}

# Debian's server packages make and start a cluster "main" when they are first installed: not on this account.
without_main_cluster() {
  apt_dropin=/etc/postgresql-common/createcluster.d/guardrail-scripts.conf
  elevated mkdir -p "${apt_dropin%/*}"
  elevated tee "$apt_dropin" >/dev/null <<<'create_main_cluster = false'
  "$@"
  elevated rm -f "$apt_dropin"
  apt_dropin=
}

# need_packages [cron] [tap]: a compiler, make, GSL and a server; with pg_cron; with what TAP tests need
need_packages() {
  local want major=of_its_own cron='' tap='' missing
  for want in "$@"; do local "$want=1"; done
  make_work

  if command -v apt-get >/dev/null; then
    if ! find_pg_config; then
      say "reading the package lists"
      apt_get update
      major=$(choose_major)
    elif [[ "$("$pg_config" --bindir)" =~ ^/usr/lib/postgresql/([0-9]+)/bin$ ]]; then
      major=${BASH_REMATCH[1]}
    fi
    [ "$major" = of_its_own ] || set -- "postgresql-$major" "postgresql-server-dev-$major" ${cron:+"postgresql-$major-cron"}
    [ -n "$major" ] && [ "$major" != of_its_own ] || set --
    missing=$(missing_packages gcc make libc6-dev libgsl-dev ${tap:+perl libipc-run-perl} "$@")
    if [ -n "$missing" ]; then
      say "installing $missing"
      apt_get update
      without_main_cluster apt_get install --no-install-recommends $missing
    fi
  fi

  find_pg_config || die "no PostgreSQL server with its development files here; PG_CONFIG=/path/to/pg_config names one"
  bindir=$("$pg_config" --bindir)
  major=$("$pg_config" --version | sed 's/^[^0-9]*\([0-9]*\).*/\1/')
  [ "$major" -ge 15 ] || die "$("$pg_config" --version) is too old: guardrail needs 15 or later"
  for want in gcc make ${tap:+prove}; do
    command -v "$want" >/dev/null || die "needs $want"
  done
  [ -z "$cron" ] || [ -e "$("$pg_config" --pkglibdir)/pg_cron.so" ] || die "needs pg_cron for $("$pg_config" --version)"
  [ -z "$tap" ] || perl -MIPC::Run -e 1 2>/dev/null || die "needs the Perl module IPC::Run"
  [ "$(id -u)" != 0 ] || id postgres >/dev/null 2>&1 || die "root needs a user named postgres to run the server as"
}

# -- build and run -----------------------------------------------------------------------------------------------------

# the tree without its history and without what was built in it
copy_tree() {
  tar -C "$tree" --anchored --exclude=./.git --exclude=./build --exclude='./guardrail--*.sql' --exclude=./results \
    --exclude='./regression.*' --exclude=./output_iso --exclude=./tmp_check --exclude=./log \
    --no-anchored --exclude='*.o' --exclude='*.so' --exclude='*.bc' -cf - . | tar -C "$src" --no-same-owner -xf -
  if [ "$(id -u)" = 0 ]; then chown -R postgres:postgres "$work"; fi
  cd "$work"
}

run_make() { as_user make --no-print-directory -C "$src" PG_CONFIG="$pg_config" "$@"; }

# build_and_install [VARIABLE=VALUE...]
build_and_install() {
  local as=elevated
  if [ -w "$("$pg_config" --pkglibdir)" ] && [ -w "$("$pg_config" --sharedir)/extension" ]; then as=; fi
  must build run_make -j "$(nproc)" "$@" all
  log=$work/logs/install.log
  $as make --no-print-directory -C "$src" PG_CONFIG="$pg_config" "$@" install >"$log" 2>&1 ||
    { tail -n 20 "$log" >&2; die "make install failed"; }
}

# start_cluster [SETTING...]: a new one, and everything that follows talks to it
start_cluster() {
  local data=$work/data
  export PATH="$bindir:$PATH" PGHOST=$work/sock PGPORT=5432 PGUSER=postgres PGDATABASE=postgres
  chmod 700 "$PGHOST"
  must initdb as_user initdb -D "$data" -U postgres -A trust -E UTF8 --locale=C.UTF-8 --no-sync
  printf '%s\n' "listen_addresses = ''" "unix_socket_directories = '$PGHOST'" "port = $PGPORT" "fsync = off" \
    "full_page_writes = off" "max_wal_size = '4GB'" "$@" | as_user tee -a "$data/postgresql.conf" >/dev/null
  step start as_user pg_ctl -D "$data" -l "$work/logs/server.log" -w start ||
    { tail -n 20 "$work/logs/server.log" >&2; die "the server does not start"; }
}
