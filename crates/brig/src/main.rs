//! brig: a container engine in one binary. The first argument says what this process is to be; everything
//! that is not one of brig's own processes is the command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    // First of all, and before anything is read or opened: the zygote must stay small.
    if std::env::args_os().nth(1).is_some_and(|first| first == brig_shim::zygote::ARGUMENT) {
        brig_shim::zygote::main();
    }
    let mut args = std::env::args_os().skip(1).map(|arg| arg.to_string_lossy().into_owned());
    match args.next().as_deref() {
        Some("daemon") => brig_daemon::main(&args.collect::<Vec<_>>()),
        Some("registry") => brig_registry::server::main(&args.collect::<Vec<_>>()),
        Some("oci") => brig_oci::main(args.collect()),
        Some("net") => {
            let code = brig_net::process::main(std::env::args_os().skip(2));
            ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX))
        }
        _ => brig_cli::main(std::env::args_os().map(|arg| arg.to_string_lossy().into_owned()).collect()),
    }
}
