//! The client and registries that mean harm, or are merely broken.

mod support;

use brig_core::{Digest, Reference};
use brig_registry::{Credentials, Error, Limits, Place, RegistryConfig, Repository};
use std::{
    io::Read,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};
use support::{Answer, Fake, Told};
use tokio_util::sync::CancellationToken;

fn config() -> RegistryConfig {
    let limits = Limits {
        connect: Duration::from_secs(5),
        answer: Duration::from_secs(5),
        window: Duration::from_millis(300),
        bytes_per_window: 1000,
        tries: 3,
        pause: Duration::from_millis(1),
        manifest: 64 << 10,
        answer_bytes: 64 << 10,
    };
    RegistryConfig { limits, certs: Vec::new(), ..RegistryConfig::default() }
}

fn secret() -> Credentials {
    Credentials { username: "user".to_owned(), password: "secret".to_owned(), ..Credentials::default() }
}

async fn open(fake: &Fake) -> Repository {
    let reference: Reference = format!("{}/x", fake.address()).parse().unwrap();
    Repository::open_at(&config(), &Place::Registry, &reference, &secret()).await.unwrap()
}

/// Reads a blob to its end on a thread that may block.
async fn read(repository: &Repository, digest: Digest, size: u64) -> Result<Vec<u8>, Error> {
    let mut reader = repository.blob(digest, size).reader(None, CancellationToken::new()).unwrap();
    tokio::task::spawn_blocking(move || {
        let mut bytes = Vec::new();
        match reader.read_to_end(&mut bytes) {
            Ok(_) => Ok(bytes),
            Err(_) => Err(reader.failure().expect("a failed reader says why")),
        }
    })
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blob_is_what_was_asked_for_or_an_error() {
    let good = b"0123456789".repeat(100);
    let digest = Digest::of(&good);
    let fake = Fake::start(|told: &Told| match told.path.as_str() {
        "/v2/" => Answer::ok(b"{}"),
        _ => Answer::ok(&b"0123456789".repeat(100)),
    });
    let repository = open(&fake).await;
    assert_eq!(read(&repository, digest, 1000).await.unwrap(), good);
    let other = Digest::of(b"other");
    assert!(
        matches!(read(&repository, other, 1000).await, Err(Error::Unverified { digest, .. }) if digest == other)
    );
    // More than was announced ends at once; less does not pass for the whole.
    assert!(matches!(read(&repository, digest, 999).await, Err(Error::Size { expected: 999, .. })));
    assert!(matches!(read(&repository, digest, 1001).await, Err(Error::Unreachable { .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endless_body_ends() {
    let fake = Fake::start(|told: &Told| match told.path.as_str() {
        "/v2/" => Answer::ok(b"{}"),
        _ => Answer::Endless,
    });
    let repository = open(&fake).await;
    assert!(matches!(read(&repository, Digest::of(b"x"), 100_000).await, Err(Error::Size { .. })));
    assert!(matches!(repository.document("latest").await, Err(Error::TooLong { .. })));
    assert!(matches!(repository.tags().await, Err(Error::TooLong { .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_too_slowly_is_given_up() {
    let fake = Fake::start(|told: &Told| match told.path.as_str() {
        "/v2/" => Answer::ok(b"{}"),
        _ => Answer::Trickle(1_000_000),
    });
    let repository = open(&fake).await;
    assert!(matches!(read(&repository, Digest::of(b"x"), 1_000_000).await, Err(Error::Stalled(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_connection_is_gone_on_with_by_range() {
    static ASKED: AtomicUsize = AtomicUsize::new(0);
    let whole: Vec<u8> = (0..200_000u32).flat_map(u32::to_le_bytes).collect();
    let (digest, size) = (Digest::of(&whole), whole.len() as u64);
    let fake = Fake::start(move |told: &Told| {
        if told.path == "/v2/" {
            return Answer::ok(b"{}");
        }
        ASKED.fetch_add(1, Ordering::SeqCst);
        let from: usize = told.range().unwrap_or(0);
        // Each answer breaks off after a third.
        let until = (from + whole.len() / 3 + 1).min(whole.len());
        Answer::Cut { from, all: whole.len(), bytes: whole[from..until].to_vec() }
    });
    let repository = open(&fake).await;
    let read = read(&repository, digest, size).await.unwrap();
    assert_eq!((Digest::of(&read), read.len() as u64), (digest, size));
    assert_eq!(ASKED.load(Ordering::SeqCst), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_earlier_try_left_is_not_asked_for_again() {
    use std::io::Write;
    let whole = b"abcdefghij".repeat(1000);
    let (digest, size) = (Digest::of(&whole), whole.len() as u64);
    let sent = whole.clone();
    let fake = Fake::start(move |told: &Told| match told.path.as_str() {
        "/v2/" => Answer::ok(b"{}"),
        _ => {
            let from = told.range().expect("a range is asked for");
            Answer::Cut { from, all: sent.len(), bytes: sent[from..].to_vec() }
        }
    });
    let repository = open(&fake).await;
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&whole[..4000]).unwrap();
    let mut reader = repository
        .blob(digest, size)
        .reader(Some(file.try_clone().unwrap()), CancellationToken::new())
        .unwrap();
    assert_eq!(reader.resumed(), 4000);
    let read = tokio::task::spawn_blocking(move || {
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).unwrap();
        bytes
    });
    assert_eq!(read.await.unwrap(), whole);
    assert_eq!(file.metadata().unwrap().len(), size);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redirections_end_and_take_no_credentials_along() {
    let other = Fake::start(|told: &Told| {
        assert_eq!(told.header("authorization"), None, "credentials were sent to another host");
        Answer::ok(b"content")
    });
    let there = format!("http://{}/elsewhere", other.address());
    let fake = Fake::start(move |told: &Told| match told.path.as_str() {
        "/v2/" if told.header("authorization").is_none() => Answer::challenge("Basic realm=\"x\""),
        "/v2/" => Answer::ok(b"{}"),
        path if path.starts_with("/v2/x/blobs/") => {
            assert!(told.header("authorization").is_some());
            Answer::redirect(&there)
        }
        path => Answer::redirect(path),
    });
    let repository = open(&fake).await;
    assert_eq!(read(&repository, Digest::of(b"content"), 7).await.unwrap(), b"content");
    assert!(other.requests() > 0);
    let looped = repository.document("latest").await.unwrap_err().to_string();
    assert!(looped.contains("redirect"), "{looped}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn manifests_are_verified_and_bounded() {
    let fake = Fake::start(|told: &Told| match told.path.as_str() {
        "/v2/" => Answer::ok(b"{}"),
        "/v2/x/manifests/lying" => {
            Answer::ok(b"{}").with("Docker-Content-Digest", &Digest::of(b"something else").to_string())
        }
        "/v2/x/manifests/large" => Answer::ok(&vec![b' '; 100 << 10]),
        "/v2/x/manifests/old" => Answer::ok(br#"{"schemaVersion":1,"fsLayers":[]}"#),
        "/v2/x/manifests/both" => Answer::ok(br#"{"schemaVersion":2,"manifests":[],"layers":[]}"#),
        _ => Answer::ok(br#"{"schemaVersion":2}"#),
    });
    let repository = open(&fake).await;
    assert!(matches!(repository.document("lying").await, Err(Error::Unverified { .. })));
    assert!(matches!(repository.document("large").await, Err(Error::TooLong { .. })));
    assert!(matches!(repository.document("old").await.unwrap().content(), Err(Error::Unsupported(_))));
    assert!(matches!(repository.document("both").await.unwrap().content(), Err(Error::BadAnswer(_))));
    let by_digest = Digest::of(b"none of it").to_string();
    assert!(matches!(repository.document(&by_digest).await, Err(Error::Unverified { .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_are_asked_for_once_a_scope() {
    static TOKENS: AtomicUsize = AtomicUsize::new(0);
    let fake = Fake::start(|told: &Told| {
        if told.path.starts_with("/token") {
            TOKENS.fetch_add(1, Ordering::SeqCst);
            assert!(
                told.path.contains("scope=repository%3Ax%3Apull") && told.path.contains("service=s"),
                "{}",
                told.path
            );
            assert_eq!(told.header("authorization").as_deref(), Some("Basic dXNlcjpzZWNyZXQ="));
            return Answer::ok(br#"{"token":"t0ken","expires_in":300}"#);
        }
        if told.header("authorization").as_deref() != Some("Bearer t0ken") {
            let realm =
                format!("Bearer realm=\"http://{}/token\",service=\"s\"", told.header("host").unwrap());
            return Answer::challenge(&realm);
        }
        Answer::ok(br#"{"schemaVersion":2}"#)
    });
    let repository = open(&fake).await;
    for _ in 0..3 {
        repository.document("latest").await.unwrap();
    }
    assert_eq!(TOKENS.load(Ordering::SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_passes_is_tried_again_and_what_does_not_is_told() {
    static TRIES: AtomicUsize = AtomicUsize::new(0);
    let fake = Fake::start(|told: &Told| match told.path.as_str() {
        "/v2/" => Answer::ok(b"{}"),
        "/v2/x/manifests/busy" if TRIES.fetch_add(1, Ordering::SeqCst) < 2 => Answer::status(503, b""),
        "/v2/x/manifests/limited" => Answer::status(
            429,
            br#"{"errors":[{"code":"TOOMANYREQUESTS","message":"You have reached your pull rate limit."}]}"#,
        ),
        "/v2/x/manifests/html" => Answer::status(404, b"<html>no</html>"),
        _ => Answer::ok(br#"{"schemaVersion":2}"#),
    });
    let repository = open(&fake).await;
    repository.document("busy").await.unwrap();
    let limited = repository.document("limited").await.unwrap_err().to_string();
    assert_eq!(limited, "toomanyrequests: You have reached your pull rate limit.");
    let html = repository.document("html").await.unwrap_err().to_string();
    assert_eq!(html, "error parsing HTTP 404 response body: \"<html>no</html>\"");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_goes_nowhere_else() {
    let fake = Fake::start(|told: &Told| match told.path.as_str() {
        "/v2/" => Answer::ok(b"{}"),
        _ => Answer::status(202, b"").with("Location", "http://127.0.0.1:1/stolen"),
    });
    let repository = open(&fake).await;
    let error = repository.put_blob("x".into()).await.unwrap_err().to_string();
    assert!(error.contains("wants the upload elsewhere"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mirror_is_asked_first_and_not_told_who_asks() {
    let mirror = Fake::start(|told: &Told| {
        assert_eq!(told.header("authorization"), None);
        match told.path.as_str() {
            "/v2/" => Answer::ok(b"{}"),
            "/v2/cache/library/x/manifests/here" => Answer::ok(br#"{"schemaVersion":2}"#),
            _ => Answer::status(404, b""),
        }
    });
    let mut config = config();
    let url = format!("http://{}/cache", mirror.address());
    config.mirrors.push(brig_registry::Mirror { of: "docker.io".to_owned(), url });
    let reference: Reference = "x:here".parse().unwrap();
    let places = Repository::places(&config, &reference);
    assert_eq!(places.len(), 2);
    let found = Repository::open_at(&config, &places[0], &reference, &secret()).await.unwrap();
    assert!(found.is_mirror());
    found.document("here").await.unwrap();
    found.document("gone").await.unwrap_err();
}
