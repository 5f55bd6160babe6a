//! The program `portgrave`.

use std::process::ExitCode;

fn main() -> ExitCode {
    portgrave::cli::main()
}
