//! `ringstone`: the program that looks at data while no server runs; everything is in [`ringstone_server::offline`].

fn main() -> std::process::ExitCode {
    ringstone_server::offline::main()
}
