//! What is written is read back: whole, from its end, as it grows, across rotation and damage.

use brig_logs::{Driver, Error, LogConfig, LogReader, ReadOptions, Rotation, Step, Stream, Writer};
use std::{
    collections::BTreeMap,
    fs::OpenOptions,
    io::Write,
    os::{
        fd::{AsFd, AsRawFd},
        unix::net::UnixStream,
    },
    path::Path,
};

fn config(dir: &Path, max_size: Option<u64>, max_file: u32) -> LogConfig {
    LogConfig {
        driver: Driver::JsonFile { rotation: Rotation { max_size, max_file } },
        path: dir.join("c-json.log"),
        attrs: BTreeMap::new(),
    }
}

fn read(config: &LogConfig, options: ReadOptions) -> Vec<String> {
    let mut reader = LogReader::open(config, &options).unwrap();
    let mut texts = Vec::new();
    loop {
        match reader.step().unwrap() {
            Step::Record(record) => texts.push(record.text),
            Step::End => return texts,
            Step::Wait => panic!("waits without following"),
        }
    }
}

fn all(config: &LogConfig) -> Vec<String> {
    read(config, ReadOptions::default())
}

fn tail(config: &LogConfig, n: u64) -> Vec<String> {
    read(config, ReadOptions { tail: Some(n), ..ReadOptions::default() })
}

#[test]
fn both_streams_in_order_with_open_ends() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), None, 1);
    let mut writer = Writer::open(&config).unwrap();
    writer.write(Stream::Stdout, b"one\ntwo").unwrap();
    writer.write(Stream::Stderr, b"error\n").unwrap();
    writer.write(Stream::Stdout, b" and a half\nend").unwrap();
    writer.end(Stream::Stdout).unwrap();
    writer.end(Stream::Stderr).unwrap();
    assert_eq!(all(&config), ["one\n", "error\n", "two and a half\n", "end"]);
    assert_eq!(tail(&config, 0), [""; 0]);
    assert_eq!(tail(&config, 2), ["two and a half\n", "end"]);
    assert_eq!(tail(&config, 9), all(&config));
}

#[test]
fn rotation_keeps_so_many_files_and_tail_reaches_into_them() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), Some(1000), 3);
    let mut writer = Writer::open(&config).unwrap();
    let lines: Vec<String> = (0..100).map(|n| format!("line {n}\n")).collect();
    writer.write(Stream::Stdout, lines.concat().as_bytes()).unwrap();
    let kept = all(&config);
    assert!(kept.len() > 20 && kept.len() < 60, "{}", kept.len());
    assert_eq!(kept, lines[lines.len() - kept.len()..]);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 3);
    for n in [1, kept.len() as u64 / 2, kept.len() as u64 - 1, 1000] {
        let want = (n as usize).min(kept.len());
        assert_eq!(tail(&config, n), kept[kept.len() - want..]);
    }
    // A restarted writer goes on where the old one was.
    drop(writer);
    let mut writer = Writer::open(&config).unwrap();
    writer.write(Stream::Stdout, b"again\n").unwrap();
    assert_eq!(tail(&config, 2), [lines[99].as_str(), "again\n"]);
}

#[test]
fn one_file_is_emptied_when_full() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), Some(500), 1);
    let mut writer = Writer::open(&config).unwrap();
    for n in 0..50 {
        writer.write(Stream::Stdout, format!("line {n}\n").as_bytes()).unwrap();
        assert!(std::fs::metadata(&config.path).unwrap().len() < 600);
    }
    assert_eq!(all(&config).last().unwrap(), "line 49\n");
}

#[test]
fn since_and_until() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), None, 1);
    let line =
        |s| format!("{{\"log\":\"{s}\\n\",\"stream\":\"stdout\",\"time\":\"1970-01-01T00:00:0{s}Z\"}}\n");
    std::fs::write(&config.path, (1..=5).map(line).collect::<String>()).unwrap();
    let second = 1_000_000_000;
    let options = ReadOptions { since: Some(2 * second), until: Some(4 * second), ..ReadOptions::default() };
    assert_eq!(read(&config, options), ["2\n", "3\n", "4\n"]);
    // `until` ends following too.
    assert_eq!(read(&config, ReadOptions { follow: true, ..options }), ["2\n", "3\n", "4\n"]);
}

#[test]
fn damage_costs_the_damaged_line_only() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), None, 1);
    Writer::open(&config).unwrap().write(Stream::Stdout, b"first\n").unwrap();
    let mut raw = OpenOptions::new().append(true).open(&config.path).unwrap();
    raw.write_all(b"garbage\n\n{}\n{\"log\":\"torn").unwrap();
    assert_eq!(all(&config), ["first\n"]);
    // A new writer takes the torn record off.
    Writer::open(&config).unwrap().write(Stream::Stdout, b"second\n").unwrap();
    assert_eq!(all(&config), ["first\n", "second\n"]);
    assert!(!std::fs::read_to_string(&config.path).unwrap().contains("torn"));
}

#[test]
fn a_follower_sees_a_torn_record_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), None, 1);
    Writer::open(&config).unwrap().write(Stream::Stdout, b"first\n").unwrap();
    let mut raw = OpenOptions::new().append(true).open(&config.path).unwrap();
    raw.write_all(b"{\"log\":\"torn").unwrap();
    let options = ReadOptions { follow: true, ..ReadOptions::default() };
    let mut reader = LogReader::open(&config, &options).unwrap();
    assert!(matches!(reader.step().unwrap(), Step::Record(r) if r.text == "first\n"));
    assert_eq!(reader.step().unwrap(), Step::Wait);
    let mut writer = Writer::open(&config).unwrap();
    assert_eq!(reader.step().unwrap(), Step::Wait);
    writer.write(Stream::Stdout, b"second\n").unwrap();
    assert!(matches!(reader.step().unwrap(), Step::Record(r) if r.text == "second\n"));
}

/// A writer in one thread rotates many times while a follower in another one reads: none is lost or seen twice.
#[test]
fn following_across_rotation() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), Some(20_000), 1000);
    let options = ReadOptions { follow: true, ..ReadOptions::default() };
    let mut reader = LogReader::open(&config, &options).unwrap();
    assert_eq!(reader.step().unwrap(), Step::Wait);
    let (cancel, canceller) = UnixStream::pair().unwrap();
    let written = config.clone();
    let thread = std::thread::spawn(move || {
        let mut writer = Writer::open(&written).unwrap();
        for n in 0..20_000 {
            writer.write(Stream::Stdout, format!("line {n}\n").as_bytes()).unwrap();
        }
        drop(canceller);
    });
    let mut next = 0;
    loop {
        match reader.step().unwrap() {
            Step::Record(record) => {
                assert_eq!(record.text, format!("line {next}\n"));
                next += 1;
            }
            Step::Wait => {
                if !reader.wait(cancel.as_fd()).unwrap() {
                    reader.stop_following();
                }
            }
            Step::End => break,
        }
    }
    thread.join().unwrap();
    assert_eq!(next, 20_000);
}

#[test]
fn following_a_file_that_is_emptied() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), Some(200), 1);
    let options = ReadOptions { follow: true, ..ReadOptions::default() };
    let mut reader = LogReader::open(&config, &options).unwrap();
    let mut writer = Writer::open(&config).unwrap();
    for n in 0..20 {
        let line = format!("line {n}\n");
        writer.write(Stream::Stdout, line.as_bytes()).unwrap();
        assert!(matches!(reader.step().unwrap(), Step::Record(r) if r.text == line));
        assert_eq!(reader.step().unwrap(), Step::Wait);
    }
}

#[test]
fn a_full_disk_leaves_whole_records_and_is_got_over() {
    use rustix::mount::{
        FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_string, fsmount, fsopen,
    };
    // A small tmpfs that is attached nowhere and goes with its descriptor.
    let context = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC).unwrap();
    fsconfig_set_string(&context, "size", "64k").unwrap();
    fsconfig_create(&context).unwrap();
    let disk = fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty()).unwrap();
    let dir = std::path::PathBuf::from(format!("/proc/self/fd/{}", disk.as_raw_fd()));
    let config = config(&dir, None, 1);
    let mut writer = Writer::open(&config).unwrap();
    let line = "x".repeat(999) + "\n";
    let failed = (0..100).find_map(|_| writer.write(Stream::Stdout, line.as_bytes()).err()).unwrap();
    assert!(matches!(&failed, Error::Io { step: "write", .. }), "{failed}");
    let kept = all(&config);
    assert!(kept.len() > 30 && kept.iter().all(|l| *l == line));
    assert!(std::fs::read_to_string(&config.path).unwrap().ends_with("\"}\n"));
    std::fs::OpenOptions::new().write(true).open(&config.path).unwrap().set_len(0).unwrap();
    drop(writer);
    let mut writer = Writer::open(&config).unwrap();
    writer.write(Stream::Stdout, b"room again\n").unwrap();
    assert_eq!(all(&config), ["room again\n"]);
}

#[test]
fn what_can_not_be_opened_or_read_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let nowhere = config(&dir.path().join("missing"), None, 1);
    assert!(Writer::open(&nowhere).unwrap_err().to_string().contains("c-json.log: open: No such file"));
    // Without a file there is an empty log.
    assert_eq!(all(&config(dir.path(), None, 1)), [""; 0]);
    let none = LogConfig { driver: Driver::None, ..nowhere };
    Writer::open(&none).unwrap().write(Stream::Stdout, b"x\n").unwrap();
    let error = LogReader::open(&none, &ReadOptions::default()).unwrap_err();
    assert_eq!(error.to_string(), "configured logging driver does not support reading");
}

/// 100 MB of lines through the writer in chunks as a pipe gives them, and back through the reader.
#[test]
#[ignore = "a measurement: cargo test --release -p brig-logs -- --ignored --nocapture"]
fn throughput() {
    let dir = tempfile::tempdir().unwrap();
    let chunk: Vec<u8> = (0..)
        .flat_map(|n| {
            format!("2026-01-01 INFO request {n:08} served in 12 ms, \"GET /index.html\" 200 from cache\n")
                .into_bytes()
        })
        .take(64 << 10)
        .collect();
    for (name, config) in
        [("no rotation", config(dir.path(), None, 1)), ("10 MB files", config(dir.path(), Some(10 << 20), 3))]
    {
        let mut writer = Writer::open(&config).unwrap();
        let begin = std::time::Instant::now();
        let mut bytes = 0;
        while bytes < 100_000_000 {
            writer.write(Stream::Stdout, &chunk).unwrap();
            bytes += chunk.len();
        }
        let written = begin.elapsed();
        let begin = std::time::Instant::now();
        let records = all(&config).len();
        let read = begin.elapsed();
        let rate = |t: std::time::Duration| bytes as f64 / 1e6 / t.as_secs_f64();
        println!("{name}: written {:.0} MB/s; {records} records read in {read:.0?}", rate(written));
        let begin = std::time::Instant::now();
        assert_eq!(tail(&config, 10).len(), 10);
        println!("{name}: the last 10 in {:.0?}", begin.elapsed());
        std::fs::remove_file(&config.path).unwrap();
    }
}

#[test]
fn what_was_read_is_not_read_again_whatever_was_rotated_since() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), Some(300), 4);
    let mut writer = Writer::open(&config).unwrap();
    let mut write = |from: usize, to: usize| {
        for n in from..to {
            writer.write(Stream::Stdout, format!("line {n}\n").as_bytes()).unwrap();
        }
    };
    let next = |cursor: Option<brig_logs::Cursor>, count: usize| {
        let mut reader = LogReader::resume(&config, cursor).unwrap();
        let mut texts = Vec::new();
        while texts.len() < count {
            match reader.step().unwrap() {
                Step::Record(record) => texts.push(record.text.trim_end().to_owned()),
                Step::Wait => break,
                Step::End => panic!("it is followed"),
            }
        }
        // The reader as it is may go on as well.
        assert!(reader.as_fd().is_none());
        (reader.cursor().or(cursor), texts)
    };
    let lines = |from: usize, to: usize| (from..to).map(|n| format!("line {n}")).collect::<Vec<_>>();
    assert_eq!(next(None, 9).1, lines(0, 0));
    write(0, 3);
    let (place, read) = next(None, 2);
    assert_eq!(read, lines(0, 2));
    // Into other files, and on.
    write(3, 8);
    let (place, read) = next(place, 99);
    assert_eq!(read, lines(2, 8));
    assert_eq!(next(place, 99).1, lines(0, 0));
    write(8, 9);
    let (place, read) = next(place, 99);
    assert_eq!(read, lines(8, 9));
    // The file itself is gone: what is left is all newer.
    write(9, 60);
    let (_, read) = next(place, 99);
    assert!(!read.is_empty() && read.len() < 51 && read.last() == lines(59, 60).last(), "{read:?}");
}

#[test]
fn a_file_that_was_emptied_is_read_from_its_beginning() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), Some(200), 1);
    let mut writer = Writer::open(&config).unwrap();
    writer.write(Stream::Stdout, b"one\ntwo\n").unwrap();
    let mut reader = LogReader::resume(&config, None).unwrap();
    while let Step::Record(_) = reader.step().unwrap() {}
    let place = reader.cursor();
    for n in 0..4 {
        writer.write(Stream::Stdout, format!("longer line {n}\n").as_bytes()).unwrap();
    }
    let mut reader = LogReader::resume(&config, place).unwrap();
    let Step::Record(first) = reader.step().unwrap() else { panic!("nothing there") };
    assert!(first.text.starts_with("longer line"), "{}", first.text);
}
