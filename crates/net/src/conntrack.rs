//! The kernel's memory of UDP flows. It outlives a change of the rules: a peer that keeps sending would go where the
//! port led to before. TCP needs none of this: its connections end.

use crate::{
    PortBinding, Protocol,
    netlink::{NLM_F_ACK, NLM_F_DUMP, Socket, Writer, find},
};
use std::{collections::HashSet, io};

const SUBSYSTEM: u16 = 1;
const GET: u16 = 1;
const DELETE: u16 = 2;
const ORIGINAL: u16 = 1;
const TUPLE_PROTOCOL: u16 = 2;
const NUMBER: u16 = 1;
const DESTINATION_PORT: u16 = 3;
const ID: u16 = 12;

/// Forgets the flows to the host ports of these, as far as they are UDP. Failure is no reason to refuse a port: only
/// peers that were sending all the while would notice.
pub fn forget_udp(ports: &[PortBinding]) {
    let udp: HashSet<u16> =
        ports.iter().filter(|p| p.protocol == Protocol::Udp).map(|p| p.host_port).collect();
    if udp.is_empty() {
        return;
    }
    if let Err(error) = forget(&udp) {
        tracing::warn!(%error, "conntrack: could not forget flows to published UDP ports");
    }
}

fn forget(ports: &HashSet<u16>) -> io::Result<()> {
    let mut socket = Socket::netfilter()?;
    let mut request = Writer::default();
    request.message(SUBSYSTEM << 8 | GET, NLM_F_DUMP, |w| w.raw(&[0; 4]));
    let mut found: Vec<(u8, Vec<u8>, Vec<u8>)> = Vec::new();
    socket.query(&request, |_, body| {
        let (Some(family), Some(attrs)) = (body.first(), body.get(4..)) else { return };
        let Some(tuple) = find(attrs, ORIGINAL) else { return };
        let Some(protocol) = find(tuple, TUPLE_PROTOCOL) else { return };
        let udp = find(protocol, NUMBER) == Some(&[Protocol::Udp.number()]);
        let port =
            find(protocol, DESTINATION_PORT).and_then(|p| p.first_chunk().copied()).map(u16::from_be_bytes);
        if udp && port.is_some_and(|p| ports.contains(&p)) {
            let id = find(attrs, ID).unwrap_or_default();
            found.push((*family, tuple.to_vec(), id.to_vec()));
        }
    })?;
    for (family, tuple, id) in found {
        let mut request = Writer::default();
        request.message(SUBSYSTEM << 8 | DELETE, NLM_F_ACK, |w| {
            w.raw(&[family, 0, 0, 0]);
            w.nest(ORIGINAL, |w| w.raw(&tuple));
            if !id.is_empty() {
                w.attr(ID, &id);
            }
        });
        match socket.transact(&request) {
            // It timed out meanwhile.
            Err(r) if r.source.raw_os_error() == Some(libc::ENOENT) => {}
            deleted => deleted?,
        }
    }
    Ok(())
}
