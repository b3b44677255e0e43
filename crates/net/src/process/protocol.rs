//! What the daemon and `brig net` say to each other.

use crate::{
    PortBinding,
    dns::{Host, Resolver},
};
use brig_core::Id;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{collections::BTreeSet, io};

/// The protocol's version. A daemon speaks to a process of this version or the one before.
pub const VERSION: u32 = 2;
/// No frame is longer, in bytes.
pub const MAX_FRAME: usize = 1 << 20;
/// Most ports in one request or answer: longer lists come in several.
pub const MAX_PORTS: usize = 1000;

/// Most hosts in one request: longer lists come in several.
pub const MAX_HOSTS: usize = 500;
/// Descriptors that come with [`Request::Resolve`].
pub const RESOLVER_DESCRIPTORS: usize = 3;

/// What the daemon asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// Who is there?
    Hello,
    /// Take all these ports, or none. Those that are held already with the same destination stay.
    Reserve {
        /// At most [`MAX_PORTS`].
        ports: Vec<PortBinding>,
        /// Whether to carry what comes in on them.
        proxy: bool,
    },
    /// Let go of these ports and cut what is carried through them. Those that aren't held are no error.
    Release {
        /// At most [`MAX_PORTS`].
        ports: Vec<PortBinding>,
    },
    /// Which ports are held?
    List {
        /// Only those after this one, in order.
        after: Option<PortBinding>,
    },
    /// Answer names in a container. With three descriptors: the sockets for datagrams and for connections, and the
    /// network namespace. Without, where it is done already and only what is known changes.
    Resolve {
        /// For whom, and how.
        resolver: Resolver,
    },
    /// Answer names there no more. It is no error where it isn't done.
    Forsake {
        /// Whose they were.
        resolver: Id,
    },
    /// Names on a network.
    Names {
        /// The network.
        network: Id,
        /// The network's name.
        name: String,
        /// Whether all others on it go.
        anew: bool,
        /// At most [`MAX_HOSTS`].
        hosts: Vec<Host>,
    },
    /// Take an endpoint's names away. It is no error where there are none.
    Forget {
        /// The network.
        network: Id,
        /// The endpoint.
        endpoint: Id,
    },
    /// Stop all resolvers but these, and forget the names on all networks but these.
    Retain {
        /// The resolvers that stay.
        resolvers: BTreeSet<Id>,
        /// The networks that stay.
        networks: BTreeSet<Id>,
    },
    /// End, unless ports are held or names are answered.
    Shutdown,
}

/// What `brig net` answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// To [`Request::Hello`].
    Hello {
        /// Its protocol's version.
        version: u32,
        /// Its process id.
        pid: i32,
    },
    /// It is done.
    Done,
    /// A port could not be taken; none was.
    Refused {
        /// Which one of the request.
        index: usize,
        /// What bind(2) or listen(2) said.
        errno: i32,
    },
    /// To [`Request::List`].
    Ports {
        /// In order.
        ports: Vec<PortBinding>,
        /// Whether there are more after them.
        more: bool,
    },
    /// It does not end: so many ports are held, or names answered.
    Busy {
        /// How many.
        ports: usize,
        /// For how many containers names are answered.
        #[serde(default)]
        resolvers: usize,
    },
    /// To [`Request::Resolve`]: it isn't done yet there, and the descriptors are missing.
    Missing,
    /// The request makes no sense to it.
    Unknown,
}

/// A message with its length in front.
///
/// # Errors
/// When it is longer than [`MAX_FRAME`].
pub fn encode(message: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut frame = vec![0; 4];
    serde_json::to_writer(&mut frame, message)?;
    let length = frame.len() - 4;
    if length > MAX_FRAME {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "frame too long"));
    }
    frame[..4].copy_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
    Ok(frame)
}

/// Takes the first whole frame out of `buffer`; `None` when it is not all there yet.
///
/// # Errors
/// When it is longer than [`MAX_FRAME`].
pub fn take_frame(buffer: &mut Vec<u8>) -> io::Result<Option<Vec<u8>>> {
    let Some(header) = buffer.first_chunk::<4>() else { return Ok(None) };
    let length = u32::from_le_bytes(*header) as usize;
    if length > MAX_FRAME {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "frame too long"));
    }
    if buffer.len() < 4 + length {
        return Ok(None);
    }
    let rest = buffer.split_off(4 + length);
    let mut frame = std::mem::replace(buffer, rest);
    frame.drain(..4);
    Ok(Some(frame))
}

/// Reads a message from a frame.
///
/// # Errors
/// When it is none.
pub fn decode<T: DeserializeOwned>(frame: &[u8]) -> io::Result<T> {
    Ok(serde_json::from_slice(frame)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Protocol;
    use std::net::{IpAddr, Ipv6Addr};

    #[test]
    fn frames_come_apart_as_they_went_together() {
        let port = PortBinding {
            protocol: Protocol::Udp,
            host_ip: IpAddr::V6(Ipv6Addr::UNSPECIFIED),
            host_port: 53,
            container_ip: IpAddr::from([172, 17, 0, 2]),
            container_port: 53,
        };
        let requests = [
            Request::Hello,
            Request::Reserve { ports: vec![port; MAX_PORTS], proxy: true },
            Request::List { after: Some(port) },
        ];
        let mut buffer: Vec<u8> = requests.iter().flat_map(|r| encode(r).unwrap()).collect();
        let tail = buffer.split_off(buffer.len() - 1);
        for request in &requests[..2] {
            let frame = take_frame(&mut buffer).unwrap().unwrap();
            assert_eq!(&decode::<Request>(&frame).unwrap(), request);
        }
        assert_eq!(take_frame(&mut buffer).unwrap(), None);
        buffer.extend(tail);
        assert_eq!(decode::<Request>(&take_frame(&mut buffer).unwrap().unwrap()).unwrap(), requests[2]);
        assert_eq!(take_frame(&mut buffer).unwrap(), None);
    }

    #[test]
    fn a_frame_too_long_is_refused_before_it_is_read() {
        let mut buffer = (MAX_FRAME as u32 + 1).to_le_bytes().to_vec();
        assert!(take_frame(&mut buffer).is_err());
        assert!(decode::<Request>(b"{\"Nonsense\":1}").is_err());
    }
}
