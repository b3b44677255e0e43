//! Counters, in the text form of Prometheus.

use super::{
    answer::{self, Body},
    gc::Collected,
};
use http::{Method, Response, StatusCode};
use std::{
    fmt::Write,
    sync::atomic::{AtomicU64, Ordering},
};

const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "other"];

/// What was done so far.
#[derive(Debug, Default)]
pub(super) struct Metrics {
    /// By method and hundreds of the status.
    requests: [[AtomicU64; 6]; METHODS.len()],
    received: AtomicU64,
    /// Bytes of blobs that were asked for.
    pub(super) sent: AtomicU64,
    collected_blobs: AtomicU64,
    collected_bytes: AtomicU64,
}

impl Metrics {
    pub(super) fn answered(&self, method: &Method, status: StatusCode) {
        let row = METHODS.iter().position(|m| *m == method.as_str()).unwrap_or(METHODS.len() - 1);
        let column = usize::from(status.as_u16() / 100).min(5);
        self.requests[row][column].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn received(&self, bytes: usize) {
        self.received.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn collected(&self, collected: &Collected) {
        self.collected_blobs.fetch_add(collected.blobs, Ordering::Relaxed);
        self.collected_bytes.fetch_add(collected.bytes, Ordering::Relaxed);
    }

    pub(super) fn page(&self) -> Response<Body> {
        let mut text = String::from(
            "# HELP brig_registry_requests_total Requests answered.\n# TYPE brig_registry_requests_total counter\n",
        );
        for (method, row) in METHODS.iter().zip(&self.requests) {
            for (hundreds, count) in row.iter().enumerate() {
                let count = count.load(Ordering::Relaxed);
                if count > 0 {
                    // Writing into a text can't fail.
                    let _ = writeln!(
                        text,
                        "brig_registry_requests_total{{method=\"{method}\",status=\"{hundreds}xx\"}} {count}"
                    );
                }
            }
        }
        for (name, help, value) in [
            ("received_bytes", "Bytes of blobs received.", &self.received),
            ("sent_bytes", "Bytes of blobs asked for.", &self.sent),
            ("collected_blobs", "Blobs removed by the garbage collection.", &self.collected_blobs),
            ("collected_bytes", "Bytes removed by the garbage collection.", &self.collected_bytes),
        ] {
            let value = value.load(Ordering::Relaxed);
            let _ = writeln!(
                text,
                "# HELP brig_registry_{name}_total {help}\n# TYPE brig_registry_{name}_total counter\nbrig_registry_{name}_total {value}"
            );
        }
        answer::bytes("text/plain; version=0.0.4", text)
    }
}
