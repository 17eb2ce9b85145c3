#!/bin/bash
# Makes the pictures of this folder anew: a real change on a private server, watched in a real terminal (tmux), and its
# report in a real browser (chromium, if there is one). Takes some minutes. Nothing is left behind.
set -euo pipefail
cd "$(dirname "$0")/../.."
shots=docs/screenshots
work=$(mktemp -d)
session=rsc-shots-$$
children=()
finish() {
    tmux kill-session -t "$session" 2>/dev/null || true
    for child in "${children[@]}"; do kill "$child" 2>/dev/null || true; done
    rm -rf "$work"
}
trap finish EXIT

cargo build --locked --bin rsc --example private_server --example terminal_svg
rsc=$PWD/target/debug/rsc
picture=$PWD/target/debug/examples/terminal_svg

# The server ends with its input.
mkfifo "$work/alive"
target/debug/examples/private_server <"$work/alive" >"$work/server" &
exec 7>"$work/alive"
until grep -q '^Ctrl-C' "$work/server"; do sleep 0.2; done
client=$(grep -e '--no-defaults' "$work/server")
port=$(awk '$1 == "port" { print $2 }' "$work/server")
export RSC_HOST=127.0.0.1 RSC_PORT=$port RSC_USER=root RSC_DEFAULTS_FILE=/dev/null LANG=C.UTF-8

sql() { eval "$client" --batch --skip-column-names; }
sql <<SQL
CREATE DATABASE shop;
CREATE TABLE shop.orders (id bigint NOT NULL AUTO_INCREMENT PRIMARY KEY, customer_id int NOT NULL,
    total decimal(10,2) NOT NULL, title varchar(40) NOT NULL DEFAULT '', created_at datetime NOT NULL DEFAULT now(),
    KEY by_customer (customer_id), KEY by_time (created_at));
SET cte_max_recursion_depth = 3000;
INSERT INTO shop.orders (customer_id, total, title)
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
    SELECT a.i * 7 % 9973, b.i / 4, concat('order ', a.i, ' of ', b.i) FROM n a, n b;
ANALYZE TABLE shop.orders;
SQL

# The application: a busy minute, a quiet one.
while sleep 0.02; do
    quiet=$(( ($(date +%s) / 8) % 3 ))
    for _ in $(seq $(( 1 + 8 * quiet ))); do
        echo "UPDATE shop.orders SET total = total + 1 WHERE id = $(( RANDOM * 68 + 1 ));"
    done
    echo "INSERT INTO shop.orders (customer_id, total) VALUES ($RANDOM, 1);"
done | sql &
children+=($!)

# With few rows a batch, so that there is something to be watched.
"$rsc" migrate --alter "ALTER TABLE shop.orders ADD COLUMN note varchar(200) NOT NULL DEFAULT '', DROP COLUMN title" \
    --agent stay --copy-threads 1 --batch-time ${BATCH_TIME:-5ms} ${MORE:-} >"$work/migrate" 2>&1 &
children+=($!)
until "$rsc" status 1 >/dev/null 2>&1; do sleep 0.2; done

tmux -f /dev/null new-session -d -s "$session" -x 90 -y 28 "$rsc status 1 --watch"
shot() { tmux capture-pane -e -p -t "$session" | "$picture" "rsc status 1 --watch" >"$shots/$1.svg"; }
state() { "$rsc" --output json status 1 | sed 's/.*"state":"\([a-z_]*\)".*/\1/'; }
reaches() { until [ "$(state)" = "$1" ]; do sleep 0.3; done; }
sleep ${WATCH_COPY:-18}
shot watch-copying
"$rsc" report 1 --html "$work/copying.html" --force >/dev/null
reaches revertible
sleep 40
"$rsc" verify 1 >/dev/null
"$rsc" revert 1 >/dev/null
sleep 25
"$rsc" reapply 1 >/dev/null
sleep 20
shot watch-revertible
"$rsc" status 1
"$rsc" list
"$rsc" report 1 --html "$work/report.html" --force

browser=$(command -v chromium || command -v google-chrome || true)
if [ -n "$browser" ]; then
    page() { # file, picture, width, height, and preferredColorScheme: 0 dark, 1 light
        "$browser" --headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking \
            --disable-component-update --disable-sync --hide-scrollbars --user-data-dir="$work/browser" \
            --blink-settings=preferredColorScheme="$5" --window-size="$3,$4" --screenshot="$PWD/$shots/$2.png" \
            "file://$work/$1" >/dev/null 2>&1
    }
    page report.html report-light 1160 1500 1
    page report.html report-dark 1160 1500 0
    page report.html report-narrow 500 1800 1
fi
if [ -n "${KEEP:-}" ]; then cp "$work"/*.html "$KEEP"; fi
