//! A bus with a systemd behind it.

use crate::dbus::message::{self, START};
use crate::dbus::{Address, Kind, Message, Value};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// systemd's name.
pub(super) const SYSTEMD: &str = ":1.1";

/// What is said to a call.
pub(super) enum Say {
    Answer(Vec<Value>),
    Error(&'static str, &'static str),
    /// A signal of somebody.
    Signal(&'static str, (&'static str, Vec<Value>)),
    Bytes(Vec<u8>),
    Close,
}

/// A bus for one caller. Ends with it.
pub(super) struct Bus {
    pub(super) address: Address,
    heard: Arc<Mutex<Vec<Message>>>,
    thread: Option<JoinHandle<()>>,
    _dir: tempfile::TempDir,
}

impl Bus {
    pub(super) fn new(answers: impl FnMut(&Message) -> Vec<Say> + Send + 'static) -> Self {
        Self::with(move |stream, heard| serve(stream, heard, answers))
    }

    /// One that lets nobody in.
    pub(super) fn refusing() -> Self {
        Self::with(|mut stream, _| {
            stream.write_all(b"REJECTED EXTERNAL\r\n").unwrap();
            // Until the caller hangs up.
            let _ = stream.read_to_end(&mut Vec::new());
        })
    }

    fn with(serve: impl FnOnce(UnixStream, &Mutex<Vec<Message>>) + Send + 'static) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bus");
        let listener = UnixListener::bind(&path).unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let theirs = heard.clone();
        let thread = std::thread::spawn(move || serve(listener.accept().unwrap().0, &theirs));
        Self { address: Address::Path(path), heard, thread: Some(thread), _dir: dir }
    }

    /// All calls, when the caller has hung up.
    pub(super) fn heard(mut self) -> Vec<Message> {
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
        std::mem::take(&mut *self.heard.lock().unwrap())
    }
}

fn serve(stream: UnixStream, heard: &Mutex<Vec<Message>>, mut answers: impl FnMut(&Message) -> Vec<Say>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut stream = stream;
    for expected in ["\0AUTH EXTERNAL\r\n", "DATA\r\n", "BEGIN\r\n"] {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        assert_eq!(line, expected);
    }
    stream.write_all(b"DATA\r\nOK 0123456789abcdef0123456789abcdef\r\n").unwrap();
    let mut serial = 0;
    loop {
        let mut start = [0; START];
        if reader.read_exact(&mut start).is_err() {
            return;
        }
        let mut bytes = start.to_vec();
        bytes.resize(message::length(&start).unwrap(), 0);
        reader.read_exact(&mut bytes[START..]).unwrap();
        let call = Message::parse(&bytes).unwrap();
        assert_eq!(call.kind, Kind::Call);
        let said = answers(&call);
        heard.lock().unwrap().push(call.clone());
        for say in said {
            serial += 1;
            let reply = (5, Value::U32(call.serial));
            let from = |who: &str| (7, Value::text(who));
            let bytes = match say {
                Say::Answer(body) => message::bytes(2, serial, [reply, from(SYSTEMD)], &body),
                Say::Error(name, text) => {
                    let fields = [reply, from(SYSTEMD), (4, Value::text(name))];
                    message::bytes(3, serial, fields, &[Value::text(text)])
                }
                Say::Signal(who, (member, body)) => {
                    let interface = Value::text("org.freedesktop.systemd1.Manager");
                    let path = Value::Path("/org/freedesktop/systemd1".into());
                    let fields = [(1, path), (2, interface), (3, Value::text(member)), from(who)];
                    message::bytes(4, serial, fields, &body)
                }
                Say::Bytes(bytes) => bytes,
                Say::Close => return,
            };
            // A caller who has had enough is gone.
            if stream.write_all(&bytes).is_err() {
                return;
            }
        }
    }
}

pub(super) fn call(member: &'static str, body: Vec<Value>) -> (&'static str, Vec<Value>) {
    (member, body)
}

/// What a job's end says.
pub(super) fn removed(job: &str, result: &str) -> Vec<Value> {
    let unit = Value::text("brig-web.scope");
    vec![Value::U32(1), Value::Path(job.into()), unit, Value::text(result)]
}

/// A job, and its end.
pub(super) fn job(_: &Message, result: &str) -> Vec<Say> {
    vec![
        Say::Answer(vec![Value::Path("/job/1".into())]),
        Say::Signal(SYSTEMD, call("JobRemoved", removed("/job/1", result))),
    ]
}

pub(super) fn well_behaved(heard: &Message) -> Vec<Say> {
    let variant = |text: &str| vec![Say::Answer(vec![Value::Variant(Box::new(Value::text(text)))])];
    match (&*heard.member, heard.body.get(1).and_then(Value::as_text)) {
        ("Get", Some("Version")) => variant("252.38-1~deb12u1"),
        ("Get", Some("ControlGroup")) => variant(""),
        ("Hello", _) => vec![Say::Answer(vec![Value::text(":1.5")])],
        ("StartTransientUnit" | "StopUnit", _) => job(heard, "done"),
        _ => vec![Say::Answer(Vec::new())],
    }
}

/// As systemd's own socket: nobody says who sent what. Here everything is from the same sender, which is as good.
pub(super) fn without_bus(heard: &Message) -> Vec<Say> {
    match &*heard.member {
        "Hello" | "AddMatch" => panic!("there is no bus"),
        _ => well_behaved(heard),
    }
}
