use std::process::ExitCode;

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some("sandbox") => worker::sandbox::run_child(),
        Some("snapshot") => match worker::sandbox::write_snapshot(&mut std::io::stdout().lock()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("worker snapshot: {error}");
                ExitCode::FAILURE
            }
        },
        _ => {
            eprintln!("usage: worker snapshot | worker sandbox");
            ExitCode::FAILURE
        }
    }
}
