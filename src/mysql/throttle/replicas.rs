//! Which replicas a server has, and a connection to each.
//!
//! A replica tells its source where it listens, if it was told so itself (`report_host`); the port it always tells. Otherwise
//! its address is that of the connection through which it is sent the binlog. The two are brought together by the
//! replica's uuid, which both have; and a server that answers is the replica only if that is its uuid. rsc's own readers of
//! the binlog are left out by the name they give themselves, and other programs that read it by having no uuid.

use std::time::Duration;

use crate::lifecycle::throttle::limits::Replicas;
use crate::lifecycle::throttle::measure::Address;
use crate::mysql::READER_NAME;
use crate::schema::table::string_literal;
use crate::session::{Session, SqlError, number, text};
use crate::settings::Server;

/// A replica is measured several times a second; one that does not answer in this time is not seen.
pub const WITHIN: Duration = Duration::from_secs(2);

/// A replica, and where it may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replica {
    /// As people know it.
    pub name: String,
    /// `None` for one that the operator named.
    pub uuid: Option<String>,
    /// Tried in this order.
    pub addresses: Vec<Address>,
}

/// Those that are to be measured now.
pub async fn wanted(session: &mut Session, which: &Replicas) -> Result<Vec<Replica>, SqlError> {
    match which {
        Replicas::Found => found(session).await,
        Replicas::Ignored => Ok(Vec::new()),
        Replicas::Named(list) => Ok(list
            .iter()
            .map(|address| Replica {
                name: address.to_string(),
                uuid: None,
                addresses: vec![address.clone()],
            })
            .collect()),
    }
}

async fn found(session: &mut Session) -> Result<Vec<Replica>, SqlError> {
    let mut replicas = Vec::new();
    for row in session.rows("SHOW REPLICAS").await? {
        let host = text(&row, 1).unwrap_or_default();
        if host == READER_NAME {
            continue;
        }
        let uuid = text(&row, 4).unwrap_or_default();
        if uuid.is_empty() {
            // Every MySQL replica tells its uuid; this is a program that reads the binlog.
            continue;
        }
        let port = number(&row, 2).and_then(|port| u16::try_from(port).ok()).unwrap_or(0);
        let hosts =
            [host].into_iter().chain(connected_from(session, &uuid).await).filter(|host| !host.is_empty());
        let mut addresses: Vec<Address> = Vec::new();
        for address in hosts.map(|host| Address::new(host, port)) {
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        let id = text(&row, 0).unwrap_or_default();
        let name = addresses.first().map_or_else(|| format!("with server id {id}"), Address::to_string);
        replicas.push(Replica { name, uuid: Some(uuid), addresses });
    }
    Ok(replicas)
}

/// The hosts from which a replica with this uuid reads the binlog. A help where it did not say itself where it is, and
/// not to be seen by every account.
async fn connected_from(session: &mut Session, uuid: &str) -> Vec<String> {
    let rows = session
        .rows(&format!(
            "SELECT DISTINCT t.PROCESSLIST_HOST FROM performance_schema.user_variables_by_thread v \
             JOIN performance_schema.threads t ON t.THREAD_ID = v.THREAD_ID \
             WHERE v.VARIABLE_NAME IN ('replica_uuid', 'slave_uuid') AND v.VARIABLE_VALUE = {} \
             AND t.PROCESSLIST_COMMAND LIKE 'Binlog Dump%'",
            string_literal(uuid)
        ))
        .await
        .unwrap_or_default();
    rows.iter().filter_map(|row| text(row, 0)).map(|host| without_port(&host).to_owned()).collect()
}

/// Some versions give the client's port with its host.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if !name.contains(':') && port.chars().all(|c| c.is_ascii_digit()) => name,
        Some(_) | None => host,
    }
}

impl Replica {
    /// Connects with the account that `source` is used with. The error is for people.
    pub async fn connect(&self, source: &Server, source_uuid: &str) -> Result<Session, String> {
        if self.addresses.is_empty() {
            return Err("it does not say where it is, and this account may not see where it connects from; set report_host \
                        on it, GRANT SELECT ON performance_schema.* to this account, or name it with \
                        throttle-control-replicas"
                .into());
        }
        let mut why = String::new();
        for address in &self.addresses {
            match self.try_at(source, source_uuid, address).await {
                Ok(session) => return Ok(session),
                Err(error) => why = error,
            }
        }
        Err(why)
    }

    async fn try_at(&self, source: &Server, source_uuid: &str, address: &Address) -> Result<Session, String> {
        let server =
            Server { host: address.host.clone(), port: address.port, socket: None, ..source.clone() };
        let connect = async {
            let mut session = Session::open(&server).await.map_err(|e| e.to_string())?;
            let uuid = session.text("SELECT @@GLOBAL.server_uuid").await.map_err(|e| e.to_string())?;
            Ok::<_, String>((session, uuid.unwrap_or_default()))
        };
        let (session, uuid) = match tokio::time::timeout(WITHIN, connect).await {
            Ok(connected) => connected?,
            Err(_) => return Err(format!("{address} does not answer within {WITHIN:?}")),
        };
        match &self.uuid {
            Some(expected) if *expected != uuid => {
                Err(format!("at {address} is another server: its uuid is {uuid}, not {expected}"))
            }
            None if uuid == source_uuid => {
                Err(format!("{address} is the server that the change is made on, and no replica of it"))
            }
            Some(_) | None => Ok(session),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clients_port_is_not_the_replicas() {
        assert_eq!(without_port("db2:51234"), "db2");
        assert_eq!(without_port("db2"), "db2");
        assert_eq!(without_port("fe80::1"), "fe80::1");
    }
}
