#!/bin/sh
# Makes this machine a peer of a pool: looks at it, makes an environment of Python of its own,
# installs P2C2G into that, and runs `p2c2g peer init`. Nothing needs root.
#
#   curl -fsSL https://pool.example.org/install.sh | sh
#   sh install.sh --help
#
# What a coordinator serves has its own address and its own version filled in below.
set -eu

POOL='@POOL@'
VERSION='@VERSION@'
WHEEL='@WHEEL@'
SHA256='@SHA256@'

# What is installed, and the oldest Python that runs it.
EXTRAS='worker,ml'
NEEDED='3.11'

usage() {
	cat <<'END'
Makes this machine a peer of a pool, and starts it.

usage: install.sh [options] [-- options of p2c2g peer init]

  --pool URL         the pool's coordinator; else the one that served this
  --token-file FILE  holds the join token; else P2C2G_JOIN_TOKEN does, or it is asked for
  --ca FILE          certificates (PEM) that sign the coordinator's, where the system's do not
  --wheel FILE       P2C2G as a wheel; else the coordinator's, or PyPI's
  --python PROGRAM   the Python to use, 3.11 or newer
  --home FOLDER      where the peer's files are to be
  --service KIND     auto, systemd, launchd, or none for a plain process
  --yes              ask nothing
  --dry-run          say what would be done, and do nothing
  --help             show this

The join token is never an argument: everybody on a machine can read those.
END
}

say() {
	printf '%s\n' "$*"
}

fail() {
	printf 'install.sh: %s\n' "$*" >&2
	exit 1
}

wrong() {
	printf 'install.sh: %s See install.sh --help.\n' "$*" >&2
	exit 2
}

# Tells whether a Python is new enough; the second line that it prints is its version.
is_new_enough() {
	"$1" -c "import sys; sys.exit(sys.version_info < tuple(map(int, '$NEEDED'.split('.'))))" \
		>/dev/null 2>&1
}

find_python() {
	for candidate in ${python:-python3 python3.13 python3.12 python3.11}; do
		if command -v "$candidate" >/dev/null 2>&1 && is_new_enough "$candidate"; then
			command -v "$candidate"
			return
		fi
	done
}

how_to_get() {
	if command -v apt-get >/dev/null 2>&1; then
		say "sudo apt-get install $1"
	elif command -v dnf >/dev/null 2>&1; then
		say "sudo dnf install $2"
	elif command -v brew >/dev/null 2>&1; then
		say 'brew install python'
	else
		say 'https://www.python.org/downloads/'
	fi
}

usual_home() {
	case $(uname -s) in
	Darwin) say "$HOME/Library/Application Support/p2c2g/peer" ;;
	*) say "${XDG_DATA_HOME:-$HOME/.local/share}/p2c2g/peer" ;;
	esac
}

# Fetches the wheel, and sees that it is the one that was named: $1 from, $2 to.
fetch() {
	"$python" - "$1" "$2" "$SHA256" "$ca" <<'END'
import hashlib, ssl, sys, urllib.request

source, target, sha256, ca = sys.argv[1:]
context = ssl.create_default_context()
if ca:
    context.load_verify_locations(ca)
try:
    with urllib.request.urlopen(source, timeout=60, context=context) as answer:
        data = answer.read(1 << 28)
except (OSError, ValueError) as error:
    sys.exit(f"install.sh: {source} cannot be fetched ({error}).")
if hashlib.sha256(data).hexdigest() != sha256:
    sys.exit(f"install.sh: {source} is not what it was to be: fetch install.sh again.")
with open(target, "xb") as file:
    file.write(data)
END
}

main() {
	pool='' token_file='' ca=${P2C2G_POOL_CA-} wheel='' python='' home='' service=''
	yes='' dry=''
	while [ $# -gt 0 ]; do
		case $1 in
		--pool | --token-file | --ca | --wheel | --python | --home | --service)
			[ $# -ge 2 ] || wrong "$1 needs a value."
			case $1 in
			--pool) pool=$2 ;;
			--token-file) token_file=$2 ;;
			--ca) ca=$2 ;;
			--wheel) wheel=$2 ;;
			--python) python=$2 ;;
			--home) home=$2 ;;
			--service) service=$2 ;;
			esac
			shift 2
			;;
		--yes | -y) yes=1 && shift ;;
		--dry-run) dry=1 && shift ;;
		--help | -h) usage && exit 0 ;;
		--) shift && break ;;
		*) wrong "$1 is no option." ;;
		esac
	done
	# Unfilled, as in the source.
	case $POOL in @*) POOL='' WHEEL='' SHA256='' VERSION='' ;; esac
	pool=${pool:-$POOL}
	[ -n "$pool" ] || wrong 'The pool is missing: give --pool URL, such as https://pool.example.org.'
	for file in "$token_file" "$ca" "$wheel"; do
		[ -z "$file" ] || [ -r "$file" ] || wrong "$file cannot be read."
	done
	[ -n "${HOME-}" ] || wrong 'HOME is not set.'
	case ${home:=${P2C2G_PEER_HOME-}} in
	'') home=$(usual_home) ;;
	/*) P2C2G_PEER_HOME=$home && export P2C2G_PEER_HOME ;;
	*) wrong "--home $home is no whole path, such as /srv/peer." ;;
	esac

	asked=$python
	python=$(find_python)
	[ -n "$python" ] || fail "${asked:-No python3} is not there, or is older than $NEEDED:" \
		"$(how_to_get python3 python3)"
	"$python" -c 'import venv, ensurepip' >/dev/null 2>&1 ||
		fail "$python has no venv: $(how_to_get python3-venv python3)"
	say "Python: $python, $("$python" -c 'import platform; print(platform.python_version())')"

	what="p2c2g[$EXTRAS]"
	if [ -n "$wheel" ]; then
		from="the wheel $wheel"
	elif [ -n "$WHEEL" ] && [ "$pool" = "$POOL" ]; then
		from="$pool/wheels/$WHEEL"
	else
		what="$what${VERSION:+==$VERSION}"
		from='PyPI'
	fi
	name=${VERSION:-new}
	[ -z "$wheel" ] || name=$(basename "$wheel" | cut -d- -f2)
	venv=$home/venvs/$name

	say "Pool:   $pool"
	say "Home:   $home"
	say "Source: $what, from $from"
	link=$HOME/.local/bin/p2c2g
	if [ -n "$dry" ]; then
		say "Would make $venv, install into it, link $link to it, and run p2c2g peer init $pool."
		exit 0
	fi

	if [ ! -x "$venv/bin/p2c2g" ]; then
		umask 077
		mkdir -p "$home/venvs"
		# Half an environment is worse than none.
		trap 'rm -rf "$venv"; rmdir "$home/venvs" "$home" 2>/dev/null || true' EXIT
		trap 'exit 130' HUP INT TERM
		rm -rf "$venv"
		"$python" -m venv "$venv" || fail "$venv cannot be made."
		if [ -z "$wheel" ] && [ "$from" != PyPI ]; then
			wheel=$venv/$WHEEL
			fetch "$from" "$wheel" || exit 1
		fi
		[ -z "$wheel" ] || what="${wheel}[$EXTRAS]"
		say 'Installing, a minute or two…'
		"$venv/bin/python" -m pip install --quiet --no-cache-dir --disable-pip-version-check \
			--no-input "$what" || fail 'pip could not install it: it says why above.'
		[ "$wheel" != "$venv/$WHEEL" ] || rm -f "$wheel"
		trap - EXIT HUP INT TERM
	else
		say "Installed already: $venv"
	fi
	if [ ! -e "$link" ] && [ ! -L "$link" ]; then
		mkdir -p "$(dirname "$link")"
		ln -s "$home/current/bin/p2c2g" "$link"
	fi

	[ -z "$ca" ] || { P2C2G_POOL_CA=$ca && export P2C2G_POOL_CA; }
	[ -z "$token_file" ] || set -- --token-file "$token_file" "$@"
	[ -z "$service" ] || set -- --service "$service" "$@"
	[ -z "$yes" ] || set -- --yes "$@"
	set -- peer init "$pool" "$@"
	# Piped into sh, this script is what is on the input: questions are for the terminal.
	if [ ! -t 0 ] && [ -z "$yes" ] && (: </dev/tty) 2>/dev/null; then
		exec "$venv/bin/p2c2g" "$@" </dev/tty
	fi
	exec "$venv/bin/p2c2g" "$@" </dev/null
}

# In one piece: what is cut off on its way does nothing.
main "$@"
