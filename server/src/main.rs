//! `ringstone-server`: the program; everything is in the library, see [`ringstone_server::start`].

fn main() -> std::process::ExitCode {
    ringstone_server::start::main()
}
