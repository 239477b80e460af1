//! The command line.

fn main() -> std::process::ExitCode {
    bonafide::cli::run()
}
