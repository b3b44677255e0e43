//! Containers and execs with a terminal.

use crate::fixture::{Attached, Container, Host};
use brig_core::Kind;
use brig_logs::Stream;
use brig_shim::protocol::{ConsoleSize, Request, ShimConfig, Target};

fn with_terminal(host: &Host, args: &[&str]) -> ShimConfig {
    let mut config = host.config(args);
    Host::change(&mut config, |spec| spec["process"]["terminal"] = true.into());
    config.terminal = true;
    config.open_stdin = true;
    config.console_size = Some(ConsoleSize { rows: 33, cols: 111 });
    config
}

#[test]
fn it_has_a_size_that_changes() {
    let host = Host::new();
    let script = "stty size; read x; stty size; exit 4";
    let mut container = host.create(with_terminal(&host, &["sh", "-c", script]));
    let mut attached = container.attach(true);
    container.start();
    attached.read_until("33 111\r\n");
    container.call(Request::Resize { target: Target::Init, size: ConsoleSize { rows: 20, cols: 60 } });
    attached.write("go\n");
    assert!(attached.read_all().0.contains("20 60\r\n"));
    assert_eq!(container.wait().code, 4);
    assert!(container.log().contains(&(Stream::Stdout, "20 60\r\n".to_owned())));
}

#[test]
fn half_closing_detaches() {
    let host = Host::new();
    let mut container = host.start(with_terminal(&host, &["cat"]));
    let mut first = container.attach(true);
    first.write("one\n");
    first.read_until("one\r\none\r\n");
    first.end_input();
    assert_eq!(first.read_all().0, "");
    let mut second = container.attach(true);
    second.write("two\n\x04");
    assert_eq!(second.read_all().0, "two\r\ntwo\r\n");
    assert_eq!(container.wait().code, 0);
}

#[test]
fn all_output_arrives_however_fast_it_ends() {
    let host = Host::new();
    let mut container = host.create(with_terminal(&host, &["sh", "-c", "yes | head -c 40000; printf end"]));
    let attached = container.attach(false);
    container.start();
    let (out, _) = attached.read_all();
    // Each newline becomes two characters.
    assert_eq!(out.len(), 60_003);
    assert!(out.ends_with("\r\nend"));
}

#[test]
fn closing_it_for_a_moment_is_not_its_end() {
    let host = Host::new();
    let script = "exec 0<&- 1>&- 2>&-; sleep 0.1; exec 0<>/dev/console 1>&0 2>&0; echo back";
    let mut container = host.create(with_terminal(&host, &["sh", "-c", script]));
    let attached = container.attach(false);
    container.start();
    assert_eq!(attached.read_all().0, "back\r\n");
}

fn exec_with_terminal(container: &mut Container, args: &[&str]) -> (brig_core::Id, Attached) {
    let id = container.exec(args, |config| {
        config.terminal = true;
        config.open_stdin = true;
        config.console_size = Some(ConsoleSize { rows: 10, cols: 20 });
        config.process.set_terminal(Some(true));
    });
    let mut attached = container.attach_to(Target::Exec(id), true);
    attached.terminal = true;
    (id, attached)
}

#[test]
fn execs_have_terminals_of_their_own() {
    let host = Host::new();
    let mut container = host.start(host.config(&["sleep", "1000"]));
    let (id, mut attached) =
        exec_with_terminal(&mut container, &["sh", "-c", "stty size; read x; stty size; exit 6"]);
    container.call(Request::StartExec { id });
    attached.read_until("10 20\r\n");
    container.call(Request::Resize { target: Target::Exec(id), size: ConsoleSize { rows: 11, cols: 21 } });
    attached.write("\n");
    assert!(attached.read_all().0.contains("11 21\r\n"));
    assert_eq!(container.exec_code(id), 6);
    // Before the start, a size is kept for it.
    let (id, attached) = exec_with_terminal(&mut container, &["stty", "size"]);
    container.call(Request::Resize { target: Target::Exec(id), size: ConsoleSize { rows: 7, cols: 9 } });
    container.call(Request::StartExec { id });
    assert_eq!(attached.read_all().0, "7 9\r\n");
    assert_eq!(container.exec_code(id), 0);
    let size = ConsoleSize { rows: 1, cols: 1 };
    assert_eq!(container.refused(Request::Resize { target: Target::Init, size }).kind, Kind::Conflict);
}
