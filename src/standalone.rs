//! The plugin as a program of its own, for who has a sound card and no DAW.

use std::process::ExitCode;

fn main() -> ExitCode {
    if nice_plug::nice_export_standalone::<bonafide::plugin::Bonafide>() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
