#!/bin/sh
# Sets up what `make` needs, and nothing twice: infra/setup.sh [run|test|bench|lab]
#
#   run    programs, .venv with the service, Kafka's jars, the console
#   test   run, and the tools of the tests
#   bench  test, and the tools of the benchmark
#   lab    run, and the programs of the traffic lab
set -eu

what=${1:-run}
case $what in
run) extras= ;;
test) extras='[dev,classifier]' ;;
bench) extras='[dev,bench,classifier]' ;;
lab) extras= ;;
*)
    echo "usage: infra/setup.sh [run|test|bench|lab]" >&2
    exit 2
    ;;
esac
cd "$(dirname "$0")/.."

say() { echo "setup: $*" >&2; }

fail() {
    say "$*"
    exit 1
}

has() { command -v "$1" >/dev/null 2>&1; }

java=java
if [ -n "${JAVA_HOME:-}" ] && [ -x "$JAVA_HOME/bin/java" ]; then java=$JAVA_HOME/bin/java; fi

# Kafka 4 needs Java 17 (its class files have version 61).
has_java() {
    has "$java" || return 1
    version=$("$java" -version 2>&1 | sed -n 's/.*version "\(1\.\)\{0,1\}\([0-9]*\).*/\2/p' | head -n 1)
    [ "${version:-0}" -ge 17 ]
}

python_program() {
    for candidate in "${PYTHON:-}" python3 python3.13 python3.12 python3.11; do
        if [ -n "$candidate" ] && has "$candidate" &&
            "$candidate" -c 'import sys, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    return 1
}

kafka_version=$(sed -n 's|.*<kafka.version>\(.*\)</kafka.version>.*|\1|p' infra/kafka/pom.xml)
jars=${SPANWATCH_KAFKA_HOME:-.local/kafka}/$kafka_version

# Debian packages of what is missing; with `lab`, of what dpkg does not know as installed.
missing_packages() {
    [ -x .venv/bin/python ] || python_program >/dev/null || echo python3 python3-venv
    has_java || echo default-jre-headless
    [ -d "$jars" ] || has mvn || echo maven
    has tshark || echo tshark
    has node || echo nodejs
    has npm || echo npm
    if [ "$what" = test ]; then
        has chromium || echo chromium
        has systemd-analyze || echo systemd
        has ip || echo iproute2
        has nft || echo nftables
        has tcpreplay || echo tcpreplay
    fi
    if [ "$what" = lab ]; then
        sed 's/#.*//' lab/packages.txt | while read -r package; do
            [ -z "$package" ] || dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' ||
                echo "$package"
        done
    fi
}

install_packages() {
    packages=$(missing_packages | tr '\n' ' ')
    [ -n "$packages" ] || return 0
    as_root=
    if ! has apt-get; then
        fail "missing: $packages(Debian's names). Install them with your package manager, then try again."
    elif [ "$(id -u)" -ne 0 ]; then
        if has sudo && sudo -n true 2>/dev/null; then as_root='sudo -n'; else
            fail "missing: $packages. Install with: sudo apt-get install $packages"
        fi
    fi
    say "installing $packages"
    # shellcheck disable=SC2086 # words on purpose
    if ! { $as_root apt-get update -qq && $as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends $packages >&2; }; then
        fail "apt-get cannot install: $packages"
    fi
    has_java || fail "Java is older than 17; install openjdk-17-jre-headless or newer, or set JAVA_HOME."
    has tshark || fail "tshark is still missing."
}

# A stamp holds what was installed for: the same again means there is nothing to do.
install_python() {
    [ -x .venv/bin/python ] || {
        python=$(python_program) || fail "Python 3.11 or newer with venv is needed; set PYTHON to name one."
        say "making .venv with $($python --version)"
        "$python" -m venv .venv
    }
    wanted=$(cat pyproject.toml constraints.txt | cksum)
    for stamp in .venv/set-up-bench .venv/set-up-test .venv/set-up-run; do
        [ "$(cat $stamp 2>/dev/null)" = "$wanted" ] && return 0
        # A smaller set is not enough for a larger one.
        [ "$stamp" = ".venv/set-up-$what" ] && break
    done
    say "installing Python packages"
    .venv/bin/python -m pip install -qq --disable-pip-version-check --no-input \
        -c constraints.txt -e ".$extras"
    if [ "$what" = lab ]; then stamp=.venv/set-up-run; else stamp=.venv/set-up-$what; fi
    echo "$wanted" >"$stamp"
}

# Into a folder of its own first: an interrupted download leaves nothing that looks whole.
install_kafka() {
    [ -d "$jars" ] && return 0
    say "fetching Kafka $kafka_version with Maven"
    fresh=$jars.$$
    trap 'rm -rf "$fresh"' EXIT
    mkdir -p "$fresh"
    mvn -q -B -ntp -f infra/kafka/pom.xml dependency:copy-dependencies -DincludeScope=runtime \
        -DoutputDirectory="$(cd "$fresh" && pwd)" >&2 || fail "Maven cannot fetch Kafka's jars (see above)."
    mv "$fresh" "$jars"
}

# The service works without the console, and says how to build it; the tests do not.
install_console() {
    wanted=$(find console -path console/node_modules -prune -o -path console/dist -prune -o -type f -print |
        LC_ALL=C sort | xargs cat | cksum)
    [ "$(cat console/dist/.built-from 2>/dev/null)" = "$wanted" ] && return 0
    say "building the console"
    if (cd console && npm ci --loglevel=error && npm run --silent build) >&2; then
        echo "$wanted" >console/dist/.built-from
    elif [ "$what" = run ]; then
        say "npm cannot build the console (see above); everything else works without it."
    else
        fail "npm cannot build the console (see above)."
    fi
}

install_packages
# Maven and npm wait for the network while pip unpacks.
install_kafka &
kafka=$!
install_console &
console=$!
install_python
wait $kafka
wait $console
