use super::{Client, Endpoint, Error};
use crate::types::{ErrorResponse, EventMessage, IdResponse};
use crate::version::ApiVersion;
use std::path::PathBuf;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{UnixListener, UnixStream},
};

/// A socket in a folder of its own, which goes away with it.
struct Socket {
    folder: PathBuf,
}

impl Socket {
    fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("brig-api-{}", brig_core::Id::random().short()));
        std::fs::create_dir(&folder).unwrap();
        Self { folder }
    }

    fn path(&self) -> PathBuf {
        self.folder.join("s")
    }

    fn client(&self) -> Client {
        Client::new(Endpoint::Unix(self.path()))
    }

    fn listen(&self) -> UnixListener {
        UnixListener::bind(self.path()).unwrap()
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.folder).unwrap();
    }
}

/// Reads one request without a body; answers its first line.
async fn request(stream: &mut UnixStream) -> String {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        bytes.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(bytes).unwrap()
}

const ID: &str = "{\"id\": \"abc\"}";

/// An answer of JSON, with these headers more.
fn answer(status: &str, headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\n{headers}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Gives these answers on one connection; in the end it tells what was asked.
fn serve(socket: &Socket, answers: Vec<String>) -> tokio::task::JoinHandle<Vec<String>> {
    let listener = socket.listen();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut seen = Vec::new();
        for answer in answers {
            let head = request(&mut stream).await;
            let length = head.to_ascii_lowercase();
            let length = length.split("content-length: ").nth(1).and_then(|l| l.lines().next());
            let mut body = vec![0; length.map_or(0, |l| l.parse().unwrap())];
            stream.read_exact(&mut body).await.unwrap();
            seen.push(head.lines().next().unwrap().trim_end_matches(" HTTP/1.1").to_owned());
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
        seen
    })
}

#[test]
fn addresses_are_read() {
    for (text, shown) in [
        ("unix:///a/b", "unix:///a/b"),
        ("tcp://:2376", "tcp://127.0.0.1:2376"),
        ("tcp://host", "tcp://host:2375"),
        ("tcp://[::1]:1", "tcp://[::1]:1"),
        ("http://h:80/x", "tcp://h:80"),
    ] {
        assert_eq!(Endpoint::parse(text).unwrap().to_string(), shown);
    }
    for bad in ["", "unix://", "nope", "tcp://a:b", "tcp://[::1", "tcp://::1", "tcp://a:99999"] {
        assert!(matches!(Endpoint::parse(bad), Err(Error::Host(_))), "{bad}");
    }
    assert!(matches!(Endpoint::parse("ssh://a"), Err(Error::Protocol(_))));
}

#[tokio::test]
async fn the_first_answer_settles_the_version() {
    let socket = Socket::new();
    let server =
        serve(&socket, vec![answer("200 OK", "Api-Version: 1.43\r\n", ID), answer("200 OK", "", ID)]);
    let client = socket.client();
    let first: IdResponse = client.get("/a b/json").query("x", "ä&1").json().await.unwrap();
    assert_eq!(first.id, "abc");
    client.get("/b").send().await.unwrap();
    assert_eq!(client.version().await.unwrap(), ApiVersion::new(1, 43));
    assert_eq!(server.await.unwrap(), ["GET /v1.51/a%20b/json?x=%C3%A4%261", "GET /v1.43/b"]);
}

#[tokio::test]
async fn a_version_that_is_too_new_is_lowered_on_the_same_connection() {
    for (refusal, spoken) in [
        ("client version 1.51 is too new. Maximum supported API version is 1.45", "1.45"),
        ("client is newer than server (client API version: 1.51, server API version: 1.24)", "1.24"),
    ] {
        let socket = Socket::new();
        let refusal = answer("400 Bad Request", "", &format!("{{\"message\":\"{refusal}\"}}"));
        let server = serve(&socket, vec![refusal, answer("200 OK", "", ID), answer("200 OK", "", ID)]);
        let client = socket.client();
        client.post("/a").body_json("body").send().await.unwrap();
        client.get("/b").send().await.unwrap();
        let expected = ["POST /v1.51/a", &format!("POST /v{spoken}/a"), &format!("GET /v{spoken}/b")];
        assert_eq!(server.await.unwrap(), expected);
    }
}

#[tokio::test]
async fn a_fixed_version_is_not_lowered() {
    let socket = Socket::new();
    let refusal = "client version 1.51 is too new. Maximum supported API version is 1.45";
    let body = format!("{{\"message\":\"{refusal}\"}}");
    let server = serve(&socket, vec![answer("400 Bad Request", "Api-Version: 1.45\r\n", &body)]);
    let client = socket.client().with_version(crate::version::MAX);
    let error = client.get("/a").send().await.unwrap_err();
    assert_eq!(error.to_string(), format!("Error response from daemon: {refusal}"));
    assert_eq!(server.await.unwrap(), ["GET /v1.51/a"]);
}

#[tokio::test]
async fn the_server_is_asked_for_its_version_before_a_stream_is_sent() {
    let socket = Socket::new();
    let ping = "HTTP/1.1 200 OK\r\nApi-Version: 1.43\r\nOstype: linux\r\nContent-Length: 0\r\n\r\n";
    let server = serve(&socket, vec![ping.to_owned(), answer("200 OK", "", ID)]);
    let client = socket.client();
    let none = futures_util::stream::empty();
    client.post("/images/load").body_stream("application/x-tar", none).send().await.unwrap();
    assert_eq!(server.await.unwrap(), ["HEAD /_ping", "POST /v1.43/images/load"]);
}

#[tokio::test]
async fn errors_of_the_daemon_are_told() {
    let socket = Socket::new();
    let listener = socket.listen();
    tokio::spawn(async move {
        for (kind, body) in [
            ("application/json", "{\"message\":\"No such container: x\"}"),
            ("text/plain", ""),
            ("text/plain", "plain\n"),
        ] {
            let (mut stream, _) = listener.accept().await.unwrap();
            request(&mut stream).await;
            let head = format!(
                "HTTP/1.1 404 Not Found\r\nContent-Type: {kind}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(head.as_bytes()).await.unwrap();
        }
    });
    let client = socket.client().with_version(crate::version::MAX);
    let error = client.get("/x").send().await.unwrap_err();
    assert_eq!(error.to_string(), "Error response from daemon: No such container: x");
    assert_eq!(error.status().unwrap(), 404);
    let empty = client.get("/x").send().await.unwrap_err().to_string();
    assert!(empty.starts_with("request returned 404 Not Found for API route and version http://"), "{empty}");
    assert_eq!(client.get("/x").send().await.unwrap_err().to_string(), "Error response from daemon: plain");
}

#[tokio::test]
async fn a_missing_daemon_is_told_in_the_words_of_docker() {
    let socket = Socket::new();
    let error = socket.client().get("/info").send().await.unwrap_err();
    assert!(error.is_no_daemon());
    assert_eq!(
        error.to_string(),
        format!(
            "Cannot connect to the Docker daemon at unix://{}. Is the docker daemon running?",
            socket.path().display()
        )
    );
    drop(socket.listen());
    assert!(socket.client().get("/info").send().await.unwrap_err().is_no_daemon());
}

#[tokio::test]
async fn a_kept_connection_that_was_closed_is_made_anew() {
    let socket = Socket::new();
    let listener = socket.listen();
    let server = tokio::spawn(async move {
        for _ in 0..2 {
            let (mut stream, _) = listener.accept().await.unwrap();
            request(&mut stream).await;
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").await.unwrap();
        }
    });
    let client = socket.client().with_version(crate::version::MAX);
    client.get("/a").json::<ErrorResponse>().await.unwrap();
    client.get("/b").json::<ErrorResponse>().await.unwrap();
    server.await.unwrap();
}

#[tokio::test]
async fn a_hijacked_connection_is_closed_one_way_at_a_time() {
    let socket = Socket::new();
    let listener = socket.listen();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let seen = request(&mut stream).await.to_ascii_lowercase();
        assert!(seen.contains("connection: upgrade\r\n") && seen.contains("upgrade: tcp\r\n"), "{seen}");
        // The first bytes of the stream arrive together with the headers.
        let head = "HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\nearly ";
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut all = String::new();
        stream.read_to_string(&mut all).await.unwrap();
        stream.write_all(format!("got {all}").as_bytes()).await.unwrap();
    });
    let client = socket.client().with_version(crate::version::MAX);
    let hijacked = client.post("/containers/x/attach").hijack().await.unwrap();
    assert_eq!(hijacked.media_type(), Some(crate::stream::RAW_STREAM));
    let mut stream = hijacked.stream;
    stream.write_all(b"input").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer, "early got input");
    server.await.unwrap();
}

#[tokio::test]
async fn values_and_bytes_are_streamed_both_ways() {
    let socket = Socket::new();
    let listener = socket.listen();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        request(&mut stream).await;
        let mut body = Vec::new();
        while !body.ends_with(b"0\r\n\r\n") {
            body.push(stream.read_u8().await.unwrap());
        }
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"Typ\r\n13\r\ne\":\"a\"}{\"Type\":\"b\"}\r\n0\r\n\r\n")
            .await
            .unwrap();
        String::from_utf8(body).unwrap()
    });
    let client = socket.client().with_version(crate::version::MAX);
    let pieces = futures_util::stream::iter([Ok("one".into()), Ok("two".into())]);
    let response = client.post("/x").body_stream("application/x-tar", pieces).response().await.unwrap();
    let mut values = response.into_values::<EventMessage>();
    assert_eq!(values.next().await.unwrap().unwrap().kind, "a");
    assert_eq!(values.next().await.unwrap().unwrap().kind, "b");
    assert!(values.next().await.unwrap().is_none());
    assert_eq!(server.await.unwrap(), "3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n");
}
