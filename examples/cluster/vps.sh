#!/bin/sh
# One VPS (Debian, as root): PostgreSQL, NATS, three backbones, three gateways and two coordinators on loopback, for
# roles-nginx.conf and roles-nginx-stream.conf. Run it again after a change: what is there stays. `warren` must be installed for all users.
#   DOMAIN=mos.example.com sh vps.sh
set -eu

: "${DOMAIN:?set DOMAIN to the domain of the backbone}"
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
database='postgres://warren@localhost/warren?host=/run/postgresql'

command -v warren >/dev/null || { echo 'warren is not installed' >&2; exit 1; }
# What is installed stays as it is: a later run is no upgrade of the database.
apt-get install -y --no-upgrade postgresql nats-server nginx-light libnginx-mod-stream
id warren >/dev/null 2>&1 || useradd --system --home-dir /var/lib/warren --create-home warren
install -d -m 0700 -o warren -g warren /var/lib/warren
install -d -m 0700 /etc/warren
runuser -u postgres -- psql -tAc "select 1 from pg_roles where rolname = 'warren'" | grep -q 1 || runuser -u postgres -- createuser warren
runuser -u postgres -- psql -tAc "select 1 from pg_database where datname = 'warren'" | grep -q 1 || runuser -u postgres -- createdb -O warren warren
install -d -m 0700 -o nats -g nats /var/lib/nats
grep -qs '^jetstream' /etc/nats-server.conf || printf 'jetstream { store_dir: /var/lib/nats }\nlisten: 127.0.0.1:4222\n' >>/etc/nats-server.conf
systemctl enable --now postgresql nats-server
systemctl restart nats-server

secret() { # NAME: made once, kept 0600
	[ -s "/etc/warren/$1" ] || (umask 077; head -c 32 /dev/urandom | base64 | tr -d '+/=\n' >"/etc/warren/$1")
	cat "/etc/warren/$1"
}

certificates() { # the overlay's CA and the coordinators' certificate, made once
	ca=/var/lib/warren/overlay-ca
	[ -s "$ca/ca.key" ] && return
	runuser -u warren -- warren ca init --out "$ca" --host "$DOMAIN" --host localhost
	runuser -u warren -- warren ca issue-peer --name coordinator --host "$DOMAIN" --host localhost --ca-dir "$ca" --out /var/lib/warren/coordinator-tls
}

unit() { # ROLE-PORT FLAGS…
	name=$1
	shift
	(
		umask 077
		{
			echo "WARREN_FLAGS=$*"
			echo "WARREN_DATABASE=$database"
			case $name in
			backbone-*)
				echo "WARREN_NATS=nats://127.0.0.1:4222"
				echo "BACKBONE_MASTER_SECRET=$(secret backbone-master)"
				echo "BACKBONE_ADMIN_TOKEN=$(secret backbone-admin)"
				;;
			coordinator-*) echo "WARREN_ADMIN_TOKEN=$(secret coordinator-admin)" ;;
			esac
		} >"/etc/warren/$name.env"
	)
	systemctl enable "warren-role@$name"
	systemctl restart "warren-role@$name"
}

answers() { # PORT: somebody listens there within half a minute
	for _ in $(seq 60); do
		ss -ltnH "sport = :$1" | grep -q . && return
		sleep 0.5
	done
	echo "nobody listens on port $1: see journalctl -u 'warren-role@*' -u nats-server" >&2
	exit 1
}

install -m 0644 "$here/warren-role@.service" /etc/systemd/system/
systemctl daemon-reload
certificates
for port in 5152 5153 5154; do
	folder=/var/lib/warren/backbone-$port
	unit "backbone-$port" backbone --http --host 127.0.0.1 --port "$port" --domain "$DOMAIN" --data "$folder" \
		--public-url "https://$DOMAIN" --trusted-proxy 127.0.0.1/32
done
for port in 4000 4001 4002; do
	unit "gateway-$port" gateway --host 127.0.0.1 --port "$port" --data "/var/lib/warren/gateway-$port" --trusted-proxy 127.0.0.1/32
done
tls=/var/lib/warren/coordinator-tls
for port in 8889 8890; do
	unit "coordinator-$port" coordinator --host 127.0.0.1 --port "$port" --no-stun \
		--tls-cert "$tls/peer.crt" --tls-key "$tls/peer.key" --tls-ca "$tls/ca.crt"
done
for port in 4222 5152 5153 5154 4000 4001 4002 8889 8890; do answers "$port"; done
echo "Backbones, gateways and coordinators run. Put roles-nginx.conf and roles-nginx-stream.conf into place, with your names and certificates."
