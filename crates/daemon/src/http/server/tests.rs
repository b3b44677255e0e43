use super::{Listener, Server};
use crate::http::{Answer, ApiError, Request, Router, Takeover, endless::endless, response};
use brig_api::{ErrorResponse, IdResponse, client::Client, client::Endpoint, stream};
use bytes::Bytes;
use futures_util::StreamExt;
use http::{Method, StatusCode};
use std::{sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{UnixListener, UnixStream},
    sync::{Mutex, mpsc},
};

/// What the routes of the tests tell.
struct State {
    told: mpsc::UnboundedSender<String>,
    heard: Mutex<mpsc::UnboundedReceiver<String>>,
}

struct Fixture {
    dir: tempfile::TempDir,
    server: Arc<Server<State>>,
    state: Arc<State>,
}

/// Tells when it is dropped.
struct Drops(mpsc::UnboundedSender<String>);

impl Drop for Drops {
    fn drop(&mut self) {
        // Nobody listens any more when the test has ended.
        let _ = self.0.send("dropped".into());
    }
}

impl Fixture {
    fn new() -> Self {
        let (told, heard) = mpsc::unbounded_channel();
        let state = Arc::new(State { told, heard: Mutex::new(heard) });
        let mut router = Router::new();
        router.add(Method::POST, "/json", |_, mut r: Request| async move {
            let id: IdResponse = r.json().await?;
            response::json(StatusCode::OK, &id)
        });
        router.add(Method::POST, "/attach", |_, r: Request| async move {
            Ok::<Answer, ApiError>(Answer::Takeover(Takeover::new(
                r.wants_upgrade(),
                true,
                |mut raw| async move {
                    let mut input = String::new();
                    raw.read_to_string(&mut input).await.unwrap();
                    raw.write_all(format!("got {input}").as_bytes()).await.unwrap();
                },
            )))
        });
        router.add(Method::GET, "/endless", |state: Arc<State>, _| async move {
            let drops = Drops(state.told.clone());
            let pieces = futures_util::stream::once(async { Ok(Bytes::from_static(b"first")) })
                .chain(futures_util::stream::pending())
                .inspect(move |_| {
                    let _ = &drops;
                });
            Ok::<_, ApiError>(endless(response::stream("text/plain", pieces)))
        });
        router.add(Method::POST, "/upload", |state: Arc<State>, mut r: Request| async move {
            let mut body = r.stream();
            let mut bytes = 0;
            while let Some(piece) = body.next().await {
                match piece {
                    Ok(piece) => {
                        if bytes == 0 {
                            state.told.send("begun".into()).unwrap();
                        }
                        bytes += piece.len();
                    }
                    Err(e) => {
                        state.told.send(format!("cut off: {e}")).unwrap();
                        return Err(ApiError::bad(e.to_string()));
                    }
                }
            }
            response::json(StatusCode::OK, &IdResponse { id: bytes.to_string() })
        });
        router.add(Method::POST, "/refused", |_, _: Request| async move {
            Err::<Answer, _>(ApiError::new(StatusCode::CONFLICT, "not now"))
        });
        router.add(Method::GET, "/unwell", |_, _| async move {
            Err::<Answer, _>(ApiError::new(StatusCode::CONFLICT, "clash <&>"))
        });
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(dir.path().join("s")).unwrap();
        let server = Server::new(router, Arc::clone(&state));
        tokio::spawn(Arc::clone(&server).serve(Listener::Unix(listener)));
        Self { dir, server, state }
    }

    fn client(&self) -> Client {
        Client::new(Endpoint::Unix(self.dir.path().join("s"))).with_version(brig_api::version::MAX)
    }

    async fn raw(&self, request: &str) -> UnixStream {
        let mut stream = UnixStream::connect(self.dir.path().join("s")).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }

    async fn answer(&self, request: &str) -> String {
        let mut answer = String::new();
        self.raw(request).await.read_to_string(&mut answer).await.unwrap();
        answer
    }

    async fn heard(&self) -> String {
        self.state.heard.lock().await.recv().await.unwrap()
    }
}

#[tokio::test]
async fn answers_have_the_headers_of_every_answer() {
    let fixture = Fixture::new();
    let answer = fixture.answer("GET /unwell HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 409 Conflict\r\n"), "{answer}");
    for expected in [
        "\r\nApi-Version: 1.51\r\n",
        "\r\nOstype: linux\r\n",
        "\r\nDocker-Experimental: false\r\n",
        "\r\nContent-Type: application/json\r\n",
        "\r\nServer: brig/",
        "\r\n\r\n{\"message\":\"clash <&>\"}\n",
    ] {
        assert!(answer.contains(expected), "{expected}: {answer}");
    }
}

#[tokio::test]
async fn an_upgraded_connection_is_raw_both_ways() {
    let fixture = Fixture::new();
    let client = fixture.client();
    let hijacked = client.post("/attach").hijack().await.unwrap();
    assert_eq!(hijacked.media_type(), Some(stream::MULTIPLEXED_STREAM));
    let mut stream = hijacked.stream;
    stream.write_all(b"input").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut output = String::new();
    stream.read_to_string(&mut output).await.unwrap();
    assert_eq!(output, "got input");
}

#[tokio::test]
async fn without_upgrade_the_connection_is_taken_over_all_the_same_and_early_input_is_kept() {
    let fixture = Fixture::new();
    let mut stream = fixture.raw("POST /attach HTTP/1.1\r\nHost: d\r\nContent-Length: 0\r\n\r\nearly ").await;
    stream.write_all(b"late").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(
        head.starts_with("HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n"),
        "{head}"
    );
    assert!(!head.to_ascii_lowercase().contains("chunked"), "{head}");
    assert_eq!(body, "got early late");
}

#[tokio::test]
async fn with_upgrade_the_head_is_dockers() {
    let fixture = Fixture::new();
    let mut stream = fixture
        .raw("POST /v1.30/attach HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\nearly")
        .await;
    stream.shutdown().await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.multiplexed-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\ngot early"), "{answer}");
}

#[tokio::test]
async fn a_connection_is_taken_over_after_it_served_other_requests() {
    let fixture = Fixture::new();
    let client = fixture.client();
    client.get("/unwell").send().await.unwrap_err();
    let mut stream = client.post("/attach").hijack().await.unwrap().stream;
    stream.shutdown().await.unwrap();
    let mut output = String::new();
    stream.read_to_string(&mut output).await.unwrap();
    assert_eq!(output, "got ");
}

#[tokio::test]
async fn bodies_that_are_no_json_are_refused() {
    let fixture = Fixture::new();
    let client = fixture.client();
    let back: IdResponse =
        client.post("/json").body_json(&IdResponse { id: "x".into() }).json().await.unwrap();
    assert_eq!(back.id, "x");
    for (head, body, status, message) in [
        (
            "Content-Type: text/plain\r\n",
            "{}",
            400,
            "unsupported Content-Type header (text/plain): must be 'application/json'",
        ),
        ("", "{}", 400, "unsupported Content-Type header (): must be 'application/json'"),
        (
            "Content-Type: application/json; charset=utf-8\r\n",
            "{x",
            400,
            "invalid JSON: invalid character 'x' looking for beginning of object key string",
        ),
        ("Content-Type: application/json\r\n", "", 400, "invalid JSON: got EOF while reading request body"),
        ("Content-Type: application/json\r\n", "{} x", 400, "unexpected content after JSON"),
    ] {
        let request = format!(
            "POST /json HTTP/1.1\r\nHost: d\r\nConnection: close\r\n{head}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let answer = fixture.answer(&request).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        let error: ErrorResponse = brig_api::json::from_slice(body.as_bytes()).unwrap();
        assert_eq!(error.message, message);
    }
}

#[tokio::test]
async fn bodies_that_are_too_large_are_refused_before_they_are_read() {
    let fixture = Fixture::new();
    let head = "POST /json HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\n";
    let mut announced = fixture.raw(&format!("{head}Content-Length: 104857600\r\n\r\n")).await;
    let mut answer = [0; 12];
    announced.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 413");
    // Without a length the first wrong byte is told at once.
    let mut chunked = fixture.raw(&format!("{head}Transfer-Encoding: chunked\r\n\r\n4\r\naaaa\r\n")).await;
    chunked.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 400");
}

#[tokio::test]
async fn who_is_refused_at_once_may_send_all_the_same() {
    let fixture = Fixture::new();
    let megabytes = 20;
    let head = format!("POST /refused HTTP/1.1\r\nHost: d\r\nContent-Length: {}\r\n\r\n", megabytes << 20);
    let mut stream = fixture.raw(&head).await;
    for _ in 0..megabytes {
        stream.write_all(&vec![0; 1 << 20]).await.unwrap();
    }
    // The connection serves on.
    stream.write_all(b"GET /unwell HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answers = String::new();
    stream.read_to_string(&mut answers).await.unwrap();
    assert_eq!(answers.matches("HTTP/1.1 409").count(), 2, "{answers}");
    assert!(answers.contains("not now") && answers.contains("clash"));
}

#[tokio::test]
async fn an_upload_that_was_cut_off_is_an_error() {
    let fixture = Fixture::new();
    let pieces = futures_util::stream::iter((0..100).map(|_| Ok(Bytes::from(vec![0; 10_000]))));
    let answer: IdResponse =
        fixture.client().post("/upload").body_stream("application/x-tar", pieces).json().await.unwrap();
    assert_eq!(answer.id, "1000000");
    assert_eq!(fixture.heard().await, "begun");
    let stream = fixture.raw("POST /upload HTTP/1.1\r\nHost: d\r\nContent-Length: 10\r\n\r\nabc").await;
    drop(stream);
    assert_eq!(fixture.heard().await, "begun");
    assert_eq!(fixture.heard().await, "cut off: unexpected EOF");
    let stream = fixture
        .raw("POST /upload HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        .await;
    drop(stream);
    assert_eq!(fixture.heard().await, "begun");
    assert_eq!(fixture.heard().await, "cut off: unexpected EOF");
}

#[tokio::test]
async fn a_client_that_leaves_ends_its_stream() {
    let fixture = Fixture::new();
    let client = fixture.client();
    let mut reader = client.get("/endless").response().await.unwrap().into_reader();
    assert_eq!(reader.chunk().await.unwrap().unwrap(), "first");
    drop(reader);
    assert_eq!(fixture.heard().await, "dropped");
}

#[tokio::test]
async fn a_stop_cuts_what_has_no_end_and_lets_the_rest_finish() {
    let fixture = Fixture::new();
    let client = fixture.client();
    let mut reader = client.get("/endless").response().await.unwrap().into_reader();
    reader.chunk().await.unwrap().unwrap();
    let attached = client.post("/attach").hijack().await.unwrap().stream;
    let (send, pieces) = mpsc::channel::<std::io::Result<Bytes>>(1);
    let pieces = futures_util::stream::unfold(pieces, |mut p| async move { Some((p.recv().await?, p)) });
    let upload = client.post("/upload").body_stream("application/x-tar", pieces).json::<IdResponse>();
    let finish = async {
        send.send(Ok("abc".into())).await.unwrap();
        assert_eq!(fixture.heard().await, "begun");
        let stop = fixture.server.stop(Duration::from_secs(30));
        let rest = async {
            reader.chunk().await.unwrap_err();
            send.send(Ok("def".into())).await.unwrap();
            drop(send);
        };
        tokio::join!(stop, rest);
    };
    let (answer, ()) = tokio::join!(upload, finish);
    assert_eq!(answer.unwrap().id, "6");
    drop(attached);
}
