//! The command line.

fn main() -> std::process::ExitCode {
    // ONNX Runtime's telemetry is switched off once its library is loaded; this keeps it from leaving
    // anything in the user's cache before.
    // SAFETY: no other thread runs yet.
    unsafe { std::env::set_var("ORT_DISABLE_TELEMETRY", "1") };
    bonafide::cli::run()
}
