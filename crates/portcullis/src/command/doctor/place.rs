//! What is wrong around the gate: ports, files and folders that the configuration needs.

use std::fs::File;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;

use config::{Config, Transport};

use super::Complaint;

/// Everything that would keep the gate of this configuration from standing.
pub(super) fn complaints(config: &Config) -> Vec<Complaint> {
    let mut found = Vec::new();
    found.extend(port(config.listen.address, "listen"));
    if let Some(admin) = &config.admin {
        found.extend(port(admin.listen, "admin"));
    }
    if let Some(tls) = &config.listen.tls {
        let files = [Some(&tls.certificate), Some(&tls.key), tls.client_ca.as_ref()];
        found.extend(files.into_iter().flatten().filter_map(|path| unreadable(path, "listen.tls")));
    }
    for (name, server) in &config.servers {
        let Transport::Remote(remote) = &server.transport else { continue };
        let Some(tls) = &remote.tls else { continue };
        let files = [&tls.ca, &tls.certificate, &tls.key].into_iter().flatten();
        found.extend(files.filter_map(|path| unreadable(path, &format!("servers.{name}.tls"))));
    }
    found.extend(folder(&config.data_dir));
    found
}

/// A port that another program has. It may be the gate itself, which is fine while it runs.
fn port(address: SocketAddr, setting: &str) -> Option<Complaint> {
    let error = TcpListener::bind(address).err()?;
    if error.kind() == io::ErrorKind::AddrInUse && is_portcullis(address) {
        return None;
    }
    let remedy = match error.kind() {
        io::ErrorKind::AddrInUse => {
            format!("end the program that has the port, or change `{setting}`")
        }
        io::ErrorKind::PermissionDenied => format!("choose a port above 1023 for `{setting}`"),
        _ => format!("choose an address of this machine for `{setting}`"),
    };
    Some(Complaint { what: format!("{address} cannot be listened on: {error}"), remedy })
}

/// Whether a gate answers there: only it says `ready` on `/readyz`.
fn is_portcullis(address: SocketAddr) -> bool {
    use std::io::{Read as _, Write as _};
    let wait = std::time::Duration::from_secs(1);
    let ask = || -> io::Result<String> {
        let mut stream = std::net::TcpStream::connect_timeout(&address, wait)?;
        stream.set_read_timeout(Some(wait))?;
        stream
            .write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.take(1_024).read_to_string(&mut answer)?;
        Ok(answer)
    };
    ask().is_ok_and(|answer| answer.ends_with("ready\n"))
}

fn unreadable(path: &Path, setting: &str) -> Option<Complaint> {
    let error = File::open(path).err()?;
    Some(Complaint {
        what: format!("{} cannot be read: {error}", path.display()),
        remedy: format!("correct the path in `{setting}`, or let this user read the file"),
    })
}

/// A data directory in which nothing can be written, or that cannot be made.
fn folder(path: &Path) -> Option<Complaint> {
    let mut existing = path;
    while !existing.exists() {
        existing = match existing.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
    }
    let access = rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
    let error = match rustix::fs::access(existing, access) {
        Ok(()) if existing.is_dir() => return None,
        Ok(()) => io::Error::from(io::ErrorKind::NotADirectory),
        Err(error) => error.into(),
    };
    Some(Complaint {
        what: format!("the data directory {} cannot be used: {error}", path.display()),
        remedy: format!("let this user write in {}, or set `data_dir`", existing.display()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_a_complaint_and_a_free_one_is_none() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let said = port(address, "listen").expect("somebody else has it");
        assert!(said.what.contains("cannot be listened on"), "{said:?}");
        drop(taken);
        assert_eq!(port("127.0.0.1:0".parse().unwrap(), "listen"), None);
    }

    #[test]
    fn a_data_directory_that_can_be_made_is_fine() {
        let place = tempfile::tempdir().unwrap();
        assert_eq!(folder(&place.path().join("new/data")), None);
        let file = place.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert!(folder(&file.join("data")).is_some());
    }
}
